// Lets whoever types a password look at it.

for (const button of document.querySelectorAll(".reveal")) {
  const field = button.parentElement.querySelector("input");
  button.hidden = false;
  button.addEventListener("click", () => wear(field.type === "password"));
  field.form.addEventListener("submit", () => wear(false)); // browsers offer to keep passwords, not texts

  function wear(shown) {
    field.type = shown ? "text" : "password";
    button.ariaPressed = String(shown);
  }
}

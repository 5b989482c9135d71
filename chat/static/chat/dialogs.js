// The dialogs about people and groups, which the page loads when somebody first opens one of them: most visits open none.

import { confirmation } from "./confirm.js";
import { directDialog } from "./direct_dialog.js";
import { groupDialog } from "./group_dialog.js";
import { inviteDialog } from "./invite_dialog.js";
import { personCard } from "./person_card.js";
import { reports } from "./report.js";
import { roomMenu } from "./room_menu.js";

/** `choose(room)` goes to a room, to none for null; `notify(words)` says something. Gives back what opens each, and `render(current)`. */
export function dialogs(client, { choose, notify }) {
  const confirm = confirmation();
  const { reportMessage, reportPerson } = reports(client, { notify });
  const invite = inviteDialog(client, { notify });
  const card = personCard(client, { choose, report: reportPerson, confirm });
  const menu = roomMenu(client, { confirm, invite, openCard: card.open, left: () => choose(null), notify });
  return {
    direct: directDialog(client, { choose }),
    group: groupDialog(client, { choose }),
    menu: menu.open,
    person: card.open,
    report: reportMessage,
    render(current) {
      card.render(current);
      menu.render(current);
    },
  };
}

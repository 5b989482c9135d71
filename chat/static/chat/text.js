// Every text that scripts put on the page, in one table, so that a translation is one more table; and times as a person reads them.

/** What each text is called, and what it says in English. */
export const english = {
  "connection.connecting": "Connecting… What you write is kept and will be sent.",
  "connection.waiting": { one: "The server cannot be reached. What you write is kept and will be sent. Next try in {count} second.", other: "The server cannot be reached. What you write is kept and will be sent. Next try in {count} seconds." },
  "connection.coming_back": "The server is restarting. What you write is kept and will be sent.",
  "connection.failing": { one: "The server has a problem. What you write is kept and will be sent. Next try in {count} second.", other: "The server has a problem. What you write is kept and will be sent. Next try in {count} seconds." },
  "connection.slow": { one: "This connection is too slow to keep up. Next try in {count} second.", other: "This connection is too slow to keep up. Next try in {count} seconds." },
  "connection.hasty": { one: "Too much came from here at once. Next try in {count} second.", other: "Too much came from here at once. Next try in {count} seconds." },
  "connection.disconnected": { one: "Those who run this site ended the connection. Back in {count} second.", other: "Those who run this site ended the connection. Back in {count} seconds." },
  "connection.restarting": { one: "The server is restarting. What you write is kept and will be sent. Back in {count} second.", other: "The server is restarting. What you write is kept and will be sent. Back in {count} seconds." },
  "connection.offline": "No network. Messages you write are kept and sent when it is back.",
  "connection.live": "Connected.",
  "connection.logged_out": "You are logged out. What you write is kept and will be sent when you log in again.",
  "connection.kicked": "Those who run this site have sent you away. You may come back.",
  "connection.banned": "You are banned until {until}. Drafts stay on this device.",
  "connection.banned_for_good": "You are banned from this chat. Drafts stay on this device.",
  "connection.ban_over": "Your ban is over.",
  "connection.crowded": "You have too many connections open. Close another tab, then try again.",
  "connection.stopped": "The server does not accept this page's connection. Reload the page; if that does not help, tell those who run this site.",
  "preferences.saved": "Saved.",
  "preferences.later": "In force here. It is saved for your other devices when the connection is back.",
  "notifications.on": "On. Rooms that you have muted stay quiet.",
  "notifications.off": "Off. Your browser may ask whether you allow it.",
  "notifications.denied": "Your browser does not allow this site to show notifications. You can change that in the browser's settings for this site.",
  "notifications.insecure": "Browsers show notifications only of sites that are opened over HTTPS.",
  "notifications.unsupported": "This browser cannot show notifications of a page.",
  "notification.on": "Notifications are on",
  "notification.on.how": "This is how you will be told.",
  "notification.title": "{name} ({count})",
  "fact.state": "State",
  "fact.state.live": "connected",
  "fact.state.connecting": "connecting",
  "fact.state.waiting": "waiting for the next try",
  "fact.state.offline": "no network",
  "fact.state.logged_out": "logged out",
  "fact.state.stopped": "ended by the server",
  "fact.since": "Connected since",
  "fact.latency": "Latency",
  "fact.latency.ms": "{count} ms",
  "fact.returns": "Reconnected",
  "fact.returns.times": { one: "{count} time", other: "{count} times" },
  "fact.last_end": "Last interruption",
  "fact.last_end.none": "none",
  "fact.worker": "Worker",
  "fact.user": "User",
  "fact.server": "Server",
  "fact.browser": "Browser",
  "room.members": { one: "{count} member", other: "{count} members" },
  "room.direct": "Direct message",
  "room.everyone": "Everyone",
  "room.online": "{count} online",
  "room.readonly": "Only owners and moderators write here.",
  "room.archived": "archived",
  "room.left": "You are no longer in {name}.",
  "room.missing": "This room does not exist, or you are not in it.",
  "room.none": "No room",
  "room.choose": "Choose a room to read and write.",
  "room.empty": "Nothing here yet. Say the first word.",
  "room.silent": "Nothing has been said here yet.",
  "room.gone": "What was said before this is no longer kept.",
  "room.log": "Messages in {name}",
  "caught_up": { one: "{count} unread message.", other: "{count} unread messages." },
  "unread": { one: "{count} unread message", other: "{count} unread messages" },
  "jump": "Jump to latest",
  "jump.new": "Jump to latest ({count})",
  "new": "New messages",
  "today": "Today",
  "yesterday": "Yesterday",
  "link.gone": "The message that you came for is no longer kept.",
  "message.to": "Message {name}",
  "message.to.ctrl": "Message {name} (Ctrl or ⌘ + Enter sends)",
  "message.said": "{name}, {time}: {words}",
  "message.told": "{time}: {words}",
  "message.edited": "(edited)",
  "message.announced": "Announcement",
  "message.folded": "Message of a blocked person",
  "message.unfold": "Show",
  "message.deleted": "This message was deleted.",
  "copied": "Copied.",
  "copied.link": "The link was copied.",
  "copied.not": "This browser does not let the page copy.",
  "waits": "Sends in {time}",
  "pace": "You can write again in {time}",
  "seconds": "{count} s",
  "minutes": "{count} min",
  "mark.sending": "Sending…",
  "mark.sent": "Sent",
  "mark.delivered": "Delivered",
  "mark.read": "Read",
  "mark.failed": "Not sent",
  "mark.read_by": "Read by {names}",
  "typing.one": "{name} is typing…",
  "typing.two": "{name} and {other} are typing…",
  "typing.many": "{count} people are typing…",
  "presence.online": "online",
  "presence.offline": "offline",
  "presence.today": "last seen {time}",
  "presence.yesterday": "last seen yesterday",
  "presence.earlier": "last seen {day}",
  "role.owner": "owner",
  "role.moderator": "moderator",
  "you": "{name} (you)",
  "comma": ", ",
  "more": "{names} and {count} more",
  "role.member": "member",
  "switch.direct": "Write to {name}",
  "switch.join": { one: "Join · {count} member", other: "Join · {count} members" },
  "switch.person": "Write to",
  "switch.none": "No room and nobody has such a name.",
  "people.none": "Nobody has such a name.",
  "people.drop": "Do not invite {name}",
  "person.about": "About {name}",
  "person.notes": "Write notes to yourself",
  "person.in": "{name}: {role}",
  "person.outside": "not in this room",
  "invite.title": "Invite people to {name}",
  "invited": { one: "{count} person invited.", other: "{count} people invited." },
  "remove": "Remove",
  "remove.title": "Remove {name} from {room}?",
  "remove.words": "They will get no more of its messages, and can no longer read what was said.",
  "archive": "Archive",
  "archive.title": "Archive {name}?",
  "archive.words": "Everybody in it can go on reading. Nobody can write until an owner restores it.",
  "restore": "Restore",
  "leave": "Leave",
  "leave.title": "Leave {name}?",
  "leave.invited": "You will get no more of its messages. To come back you have to be invited.",
  "leave.open": "You will get no more of its messages. You can join again at any time.",
  "leave.owner": "You are its last owner: the moderator who has been here longest, or else the member, takes your place.",
  "leave.empty": "Nobody else is in it: nobody will be able to come back.",
  "closed.archived": "This room is archived: it can be read, and nobody writes here.",
  "closed.blocked": "You have blocked {name}.",
  "closed.feed": "Only {names} can write here.",
  "unblock": "Unblock",
  "report.message": "Report this message",
  "report.message_of": "Report this message by {name}",
  "report.person": "Report {name}",
  "reported": "Thank you. Those who run this site will look at it.",
  "left": "{count} left",
  "over": "{count} too many",
  "deletion.refused": "Your message was not deleted: {why}",
  "failed": "Your message was not sent: {why}",
  "error.too_long_by": { one: "It is too long by {count} character.", other: "It is too long by {count} characters." },
  "error.too_long": "It is too long.",
  "error.empty": "It is empty.",
  "error.invalid_text": "It contains characters that cannot be stored.",
  "error.forbidden": "You may not do this here.",
  "error.muted": "You are muted in this room.",
  "error.not_found": "It is not there any more.",
  "error.unknown_user": "Nobody has this username.",
  "error.rate_limited": "That was too fast. Try again in a moment.",
  "error.unavailable": "The server is busy. Try again in a moment.",
  "error.storage_full": "The server's storage is full.",
  "error.disconnected": "There is no connection right now.",
};

let texts = english;

/** What the table lacks is said in English. */
export function speak(translation) {
  texts = { ...english, ...translation };
}

export function text(key, values = {}) {
  const entry = texts[key];
  const sentence = typeof entry === "string" ? entry : (entry[plural().select(values.count)] ?? entry.other);
  return sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Why a request failed, for a person: our own words for the codes we know, the server's for the others. */
export const reason = ({ code, detail, message }) => (`error.${code}` in texts ? text(`error.${code}`) : (detail ?? message ?? code));

/** Of the page; where there is none, the system's. */
export const language = () => globalThis.document?.documentElement.lang || undefined;
const plural = () => made("PluralRules");
const format = (at, options) => made("DateTimeFormat", options).format(new Date(at));

// To make one of these takes longer than all else about a message: each is made once.
const formatters = new Map();

function made(kind, options) {
  const key = `${kind} ${language()} ${JSON.stringify(options)}`;
  if (!formatters.has(key)) formatters.set(key, new Intl[kind](language(), options));
  return formatters.get(key);
}

/** How long something takes from now. */
export function waitWords(ms) {
  const seconds = Math.ceil(ms / 1000);
  return seconds < 100 ? text("seconds", { count: seconds }) : text("minutes", { count: Math.ceil(seconds / 60) });
}

export const clockTime = (at) => format(at, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const exactTime = (at) => format(at, { dateStyle: "full", timeStyle: "medium" });

/** As short as it can be said today. */
export const moment = (at, now = Date.now()) =>
  isDay(at, now) ? clockTime(at) : format(at, { dateStyle: "medium", timeStyle: "short" });

/** Why there is no connection, from what outage.js makes of it. */
export const outageWords = ({ key, count, until }) => text(key, { count, until: until === undefined ? "" : moment(until) });

const isDay = (at, time) => new Date(time).toDateString() === new Date(at).toDateString();
const dayBefore = (time) => new Date(time).setDate(new Date(time).getDate() - 1);

export function dayName(at, now = Date.now()) {
  if (isDay(at, now)) return text("today");
  if (isDay(at, dayBefore(now))) return text("yesterday");
  const sameYear = new Date(now).getFullYear() === new Date(at).getFullYear();
  return format(at, { weekday: "long", day: "numeric", month: "long", ...(!sameYear && { year: "numeric" }) });
}

/** "alice, bob, and charlie"; of very many only the first ones, and how many more. */
export function listNames(names, most = 12) {
  const rest = names.length - most;
  if (rest > 1) return text("more", { names: names.slice(0, most).join(text("comma")), count: rest });
  return made("ListFormat").format(names);
}

/** Whether somebody is here, or when they were, from what the reducer knows of them. */
export function presenceWords({ online, last_seen }, now = Date.now()) {
  if (online) return text("presence.online");
  if (!last_seen) return text("presence.offline");
  if (isDay(last_seen, now)) return text("presence.today", { time: clockTime(last_seen) });
  if (isDay(last_seen, dayBefore(now))) return text("presence.yesterday");
  return text("presence.earlier", { day: format(last_seen, { dateStyle: "medium" }) });
}

/** "Bob is typing…"; nothing for nobody. */
export function typingWords(names) {
  const [name, other] = names;
  if (names.length === 0) return "";
  if (names.length === 1) return text("typing.one", { name });
  return names.length === 2 ? text("typing.two", { name, other }) : text("typing.many", { count: names.length });
}

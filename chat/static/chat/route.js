// Where one is, as the address bar says it; and the way back, which on a phone leads from a room to the rooms.

const ROOM_PATH = /r\/([^/]+)\/(?:m\/(\d+)\/)?$/;

const home = location.pathname.replace(ROOM_PATH, "");

export const address = (room, seq) => (room === null ? home : `${home}r/${encodeURIComponent(room)}/${seq ? `m/${seq}/` : ""}`);

export const atHome = () => location.pathname === home;

/** {room, seq}: of the room and of a message in it, or null. */
export function place() {
  const [, room, seq] = ROOM_PATH.exec(location.pathname) ?? [];
  return { room: room === undefined ? null : decodeURIComponent(room), seq: seq === undefined ? null : Number(seq) };
}

export const visit = (room, seq) => history.pushState({ fromRooms: atHome() }, "", address(room, seq));

/** Whoever opened the page at a room has the rooms behind it, too. */
export function comeFromRooms() {
  if (atHome() || history.state) return;
  const { href } = location;
  history.replaceState(null, "", home);
  history.pushState({ fromRooms: true }, "", href);
}

/** As the browser's own way back would, if that leads to the rooms; answers whether `popstate` will tell. */
export function backToRooms() {
  const { fromRooms } = history.state ?? {};
  if (fromRooms) history.back();
  else history.replaceState(null, "", home);
  return Boolean(fromRooms);
}

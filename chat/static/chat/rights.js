// What a person may do in a room, by their role in it. The server decides; this only spares them buttons that it would refuse.

const MANAGERS = ["owner", "moderator"];

/** Whether only its owner and moderators write there. */
export const isReadOnly = (room) => room.kind === "feed" || room.read_only;

/** Everything false where it may not be done; `write` tells whether the room as such lets one write. */
export function rights(room) {
  const shared = room.kind === "group" || room.kind === "feed";
  const owns = shared && room.role === "owner";
  const manages = shared && MANAGERS.includes(room.role);
  return {
    rename: manages,
    invite: shared && !room.archived && (manages || room.open),
    archive: owns,
    leave: shared,
    write: !room.archived && !room.blocked && (!isReadOnly(room) || MANAGERS.includes(room.role)),
  };
}

/** What one may do to another member of a room, by their role, if it is known: {appoint: the roles that they may be given, remove}. */
export function rightsOver(room, role) {
  const shared = room.kind === "group" || room.kind === "feed";
  const owns = shared && room.role === "owner";
  return {
    appoint: owns ? ["owner", "moderator", "member"].filter((other) => other !== role) : [],
    remove: owns || (shared && room.role === "moderator" && role !== "owner"),
  };
}

/** What one may do with a message there. Its own author may not when nobody may write, except delete it. */
export function rightsWith(room, { sender, deleted }, me) {
  const mine = sender === me;
  const stands = !deleted && sender !== null;
  return {
    edit: mine && stands && rights(room).write,
    copy: !deleted,
    link: true,
    unread: true,
    report: !mine && stands,
    delete: stands && !room.archived && (mine || MANAGERS.includes(room.role)),
  };
}

/** The last owner cannot leave the role; who leaves the room hands it on. As far as a small room tells. */
export const isLastOwner = (room) => room.role === "owner" && [...room.roles.values()].filter((role) => role === "owner").length <= 1;

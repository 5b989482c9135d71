// How soon one may write again in a room with slow mode, as far as this page knows: the server decides.

/** By the server's clock, in ms; 0 where nobody has to wait. What waits in the outbox comes first. */
export function mayWriteAt({ rooms, outbox }, id) {
  const room = rooms.get(id);
  if (!room?.slow_mode || room.role !== "member" || !room.spoke_at) return 0;
  const before = outbox.filter((item) => item.room === id && item.state === "sending").length;
  return Date.parse(room.spoke_at) + (before + 1) * room.slow_mode * 1000;
}

import assert from "node:assert/strict";
import { test } from "node:test";

import { isLastOwner, rights, rightsOver, rightsWith } from "../../chat/static/chat/rights.js";
import { message, room } from "./fakes.mjs";

const roles = new Map([["alice", "owner"], ["bob", "moderator"]]);
const as = (role, more = {}) => ({ ...room(), role, roles, ...more });
const allowed = (shown) => Object.entries(rights(shown)).filter(([, may]) => may).map(([right]) => right);

test("an owner may do everything", () => {
  assert.deepEqual(allowed(as("owner")), ["rename", "invite", "archive", "leave", "write"]);
});

test("a moderator does not archive, a member only talks and leaves", () => {
  assert.deepEqual(allowed(as("moderator")), ["rename", "invite", "leave", "write"]);
  assert.deepEqual(allowed(as("member")), ["leave", "write"]);
});

test("any member invites to a room that anybody may join", () => {
  assert.equal(rights(as("member", { open: true })).invite, true);
});

test("nobody writes in an archived room or invites to it, and its owner may restore it", () => {
  assert.deepEqual(allowed(as("owner", { archived: true })), ["rename", "archive", "leave"]);
});

test("in a feed its owner and moderators write", () => {
  assert.equal(rights(as("member", { kind: "feed" })).write, false);
  assert.equal(rights(as("moderator", { kind: "feed" })).write, true);
});

test("in a room that is read-only its owner and moderators write, wherever it is", () => {
  for (const kind of ["group", "everyone"]) assert.equal(rights(as("member", { kind, read_only: true })).write, false);
  assert.equal(rights(as("moderator", { read_only: true })).write, true);
});

test("nobody leaves the Lobby or a direct room, whatever their role", () => {
  for (const kind of ["everyone", "direct"]) assert.deepEqual(allowed(as("owner", { kind })), ["write"]);
});

test("a direct room whose other member one has blocked is closed", () => {
  assert.equal(rights(as("member", { kind: "direct", blocked: true })).write, false);
});

test("an owner appoints and removes anybody, a moderator removes all but owners", () => {
  assert.deepEqual(rightsOver(as("owner"), "moderator"), { appoint: ["owner", "member"], remove: true });
  assert.deepEqual(rightsOver(as("owner"), "member"), { appoint: ["owner", "moderator"], remove: true });
  assert.deepEqual(rightsOver(as("moderator"), "member"), { appoint: [], remove: true });
  assert.deepEqual(rightsOver(as("moderator"), "owner"), { appoint: [], remove: false });
  assert.deepEqual(rightsOver(as("member"), "member"), { appoint: [], remove: false });
});

test("whose role a large room does not tell may be given any, as far as the page knows", () => {
  assert.deepEqual(rightsOver(as("owner"), undefined), { appoint: ["owner", "moderator", "member"], remove: true });
});

test("an owner is the last one while nobody else is", () => {
  assert.equal(isLastOwner(as("owner")), true);
  assert.equal(isLastOwner(as("owner", { roles: new Map([["alice", "owner"], ["bob", "owner"]]) })), false);
  assert.equal(isLastOwner(as("moderator")), false);
});

test("one's own message may be edited and deleted, that of another reported", () => {
  const offered = (shown, of) => Object.entries(rightsWith(shown, of, "alice")).filter(([, may]) => may).map(([right]) => right);
  const own = message(1, { sender: "alice" });
  assert.deepEqual(offered(as("member"), own), ["edit", "copy", "link", "unread", "delete"]);
  assert.deepEqual(offered(as("member"), message(1)), ["copy", "link", "unread", "report"]);
  assert.deepEqual(offered(as("moderator"), message(1)), ["copy", "link", "unread", "report", "delete"]);
  assert.deepEqual(offered(as("member", { archived: true }), own), ["copy", "link", "unread"]);
  assert.deepEqual(offered(as("member", { blocked: true }), own), ["copy", "link", "unread", "delete"]);
  assert.deepEqual(offered(as("owner"), message(1, { sender: null })), ["copy", "link", "unread"]);
  assert.deepEqual(offered(as("member"), message(1, { sender: "alice", deleted: true })), ["link", "unread"]);
});

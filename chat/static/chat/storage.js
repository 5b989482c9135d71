// What outlives the page, in the browser's own stores: the outbox in IndexedDB, drafts in localStorage.

/** The outbox's storage for pages without IndexedDB: as durable as the page. */
export function memoryStorage() {
  const items = new Map();
  return {
    all: async () => [...items.values()],
    put: async (item) => void items.set(item.id, item),
    delete: async (id) => void items.delete(id),
    onremoved() {},
  };
}

/** One database per person, so that two people who share a browser never send each other's messages. */
export async function openStorage(username) {
  try {
    return storageIn(await openDatabase(`roost ${username}`), new BroadcastChannel(`roost ${username}`));
  } catch {
    return memoryStorage();
  }
}

function storageIn(database, tabs) {
  const items = (mode) => database.transaction("outbox", mode).objectStore("outbox");
  return {
    all: tolerant([], () => done(items("readonly").getAll())),
    put: tolerant(undefined, (item) => done(items("readwrite").put(item))),
    delete: tolerant(undefined, async (id) => {
      await done(items("readwrite").delete(id));
      tabs.postMessage(id);
    }),
    onremoved(callback) {
      tabs.onmessage = ({ data }) => callback(data);
    },
  };
}

// A store that is full or was taken away must not keep anybody from sending.
const tolerant = (otherwise, work) => async (argument) => {
  try {
    return await work(argument);
  } catch (error) {
    console.warn("The outbox is not kept over reloads.", error);
    return otherwise;
  }
};

function openDatabase(name) {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore("outbox", { keyPath: "id" });
  return done(opening);
}

const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Texts begun but not sent, one per room. A browser that stores nothing only loses them with the page. */
export function openDrafts(username) {
  const kept = new Map();
  const name = (room) => `roost draft ${username} ${room}`;
  return {
    get(room) {
      if (kept.has(room)) return kept.get(room);
      try {
        return localStorage.getItem(name(room)) ?? "";
      } catch {
        return "";
      }
    },
    set(room, text) {
      kept.set(room, text);
      try {
        if (text) localStorage.setItem(name(room), text);
        else localStorage.removeItem(name(room));
      } catch {
        // Full or forbidden: the draft lives on in `kept`.
      }
    },
  };
}

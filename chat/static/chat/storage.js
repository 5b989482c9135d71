// What outlives the page, in the browser's own stores: the outbox in IndexedDB, drafts and choices in localStorage.

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

/** Strings that this browser remembers. One that stores nothing remembers them as long as the page. */
export function openMemory(prefix) {
  const kept = new Map();
  return {
    get(key) {
      if (kept.has(key)) return kept.get(key);
      try {
        return localStorage.getItem(`${prefix} ${key}`) ?? "";
      } catch {
        return "";
      }
    },
    set(key, words) {
      kept.set(key, words);
      try {
        if (words) localStorage.setItem(`${prefix} ${key}`, words);
        else localStorage.removeItem(`${prefix} ${key}`);
      } catch {
        // Full or forbidden: it lives on in `kept`.
      }
    },
  };
}

/** Texts begun but not sent, one per room. */
export const openDrafts = (username) => openMemory(`roost draft ${username}`);

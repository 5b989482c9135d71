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
  return {
    all: tolerant([], () => done(database.transaction("outbox").objectStore("outbox").getAll())),
    put: tolerant(undefined, (item) => change(database, (items) => items.put(item))),
    delete: tolerant(undefined, async (id) => {
      await change(database, (items) => items.delete(id));
      tabs.postMessage(id);
    }),
    onremoved(callback) {
      tabs.onmessage = ({ data }) => callback(data);
    },
  };
}

// A tab that is closed takes along what it has not been told to commit: that must not wait for an answer.
function change(database, work) {
  const transaction = database.transaction("outbox", "readwrite");
  const changed = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  work(transaction.objectStore("outbox"));
  transaction.commit();
  return changed;
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

/**
 * Strings that this browser remembers. One that stores nothing remembers them as long as the page.
 * `onchange(callback)`: `callback(key, words)` when another tab has changed one.
 */
export function openMemory(prefix) {
  const kept = new Map();
  return {
    onchange(callback) {
      addEventListener("storage", ({ key: full, newValue }) => {
        if (!full?.startsWith(`${prefix} `)) return;
        const key = full.slice(prefix.length + 1);
        kept.set(key, newValue ?? "");
        callback(key, newValue ?? "");
      });
    },
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

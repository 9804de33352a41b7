// Of an experiment of Node's that is off: upstream/internal/fs/promises.js names it.
export {};

// What Node's own files ask of the thread that they run in.

export const ownsProcessState = true;

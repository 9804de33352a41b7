// The natives of isolate/natives.c. main.js removes the global of this name before any
// tenant runs, so the library holds on to it here. esbuild injects this module wherever
// a file says `native` without importing it.
const { native: natives } = globalThis;
export { natives as native };

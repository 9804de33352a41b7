// What C calls by name: runtime_hook("…") in isolate/runtime.h.
export const hooks = (native.hooks ??= {});

// What Node's own files (upstream/) find as globals. esbuild gives these to every file that
// uses such a name without having defined it.
export { internalBinding } from './binding.js';
export { primordials } from './primordials.js';
export { process } from './process_object.js';

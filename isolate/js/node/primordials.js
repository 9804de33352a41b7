// Node's table of the built-ins as they are before any tenant code runs, for the files in
// upstream/. Our own files use ../primordials.js.
import { primordials } from './primordials_object.js';
import './upstream/internal/per_context/primordials.js';
export { primordials };

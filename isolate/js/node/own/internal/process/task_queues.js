export { queueMicrotask } from '../../../../globals.js';

// node:events, for library code.
import EventEmitter from './upstream/events.js';
export { EventEmitter };
export const { once, on, getEventListeners, setMaxListeners } = EventEmitter;
export default EventEmitter;

// node:events, for library code.
import { EventTarget } from '../events.js';
import { ObjectDefineProperty } from '../primordials.js';
import EventEmitter from './upstream/events.js';

// What events.getMaxListeners says of a target for which setMaxListeners was never called.
ObjectDefineProperty(EventTarget.prototype, EventEmitter.kMaxEventTargetListeners, {
	__proto__: null,
	value: EventEmitter.defaultMaxListeners,
	writable: true,
	enumerable: false,
	configurable: true,
});

export { EventEmitter };
export const { once, on, getEventListeners, setMaxListeners } = EventEmitter;
export default EventEmitter;

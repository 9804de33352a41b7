// What upstream files want to know of EventTarget (../../../events.js).

import { EventTarget, isEventTarget, listenersOfType } from '../../../events.js';
import { ObjectDefineProperty, Symbol } from '../../../primordials.js';

export { isEventTarget };
// Options that only Node's own signals know; here they say nothing.
export const kWeakHandler = Symbol('kWeak');
export const kResistStopPropagation = Symbol('kResistStopPropagation');

// For events.getEventListeners and events.listenerCount: what Node keeps as a list.
export const kEvents = Symbol('kEvents');
ObjectDefineProperty(EventTarget.prototype, kEvents, {
	__proto__: null,
	get() {
		return { get: (type) => chain(listenersOfType(this, type)) };
	},
	enumerable: false,
	configurable: true,
});

function chain(callbacks) {
	const root = { next: undefined, size: callbacks.length };
	let last = root;
	for (let i = 0; i < callbacks.length; i++) {
		last.next = { listener: callbacks[i], next: undefined };
		last = last.next;
	}
	return root;
}

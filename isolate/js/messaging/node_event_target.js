// EventTarget with the methods of Node's EventEmitter: what Node's MessagePort is.

import {
	ArrayPrototypeSlice,
	FunctionPrototypeCall,
	ObjectDefineProperty,
	SafeMap,
	TypeError,
} from '../primordials.js';
import { dispatch, Event, EventTarget, listenersOfType } from '../events.js';
import { illegalInvocation } from '../webidl.js';

function requireListener(listener) {
	if (typeof listener === 'function') return;
	const error = new TypeError('The "listener" argument must be of type function');
	error.code = 'ERR_INVALID_ARG_TYPE';
	throw error;
}

const { addEventListener, removeEventListener } = EventTarget.prototype;

// What a listener of `on` gets of an event: its data, where it has some.
const argumentsOf = { get: (event) => event };
export function setListenerArgument(get) {
	argumentsOf.get = get;
}

export class NodeEventTarget extends EventTarget {
	#wrappers; // SafeMap: type -> [{ listener, wrapper, once }]
	#maxListeners = 10;

	static #listOf(target) {
		if (!(#wrappers in target)) illegalInvocation();
		return (target.#wrappers ??= new SafeMap());
	}
	static #add(target, type, listener, once) {
		requireListener(listener);
		type = `${type}`;
		const map = NodeEventTarget.#listOf(target);
		const list = map.get(type) ?? [];
		for (let i = 0; i < list.length; i++) if (list[i].listener === listener) return target;
		const entry = { listener, once, wrapper: undefined };
		entry.wrapper = function (event) {
			if (once) NodeEventTarget.#remove(target, type, listener);
			FunctionPrototypeCall(listener, target, argumentsOf.get(event));
		};
		list[list.length] = entry;
		map.set(type, list);
		FunctionPrototypeCall(addEventListener, target, type, entry.wrapper);
		return target;
	}
	static #remove(target, type, listener) {
		type = `${type}`;
		const map = NodeEventTarget.#listOf(target);
		const list = map.get(type) ?? [];
		for (let i = 0; i < list.length; i++) {
			if (list[i].listener !== listener) continue;
			FunctionPrototypeCall(removeEventListener, target, type, list[i].wrapper);
			const rest = ArrayPrototypeSlice(list, 0, i);
			for (let j = i + 1; j < list.length; j++) rest[j - 1] = list[j];
			map.set(type, rest);
			return target;
		}
		FunctionPrototypeCall(removeEventListener, target, type, listener);
		return target;
	}
	setMaxListeners(count) {
		this.#maxListeners = count;
	}
	getMaxListeners() {
		return this.#maxListeners;
	}
	eventNames() {
		const names = [];
		const map = NodeEventTarget.#listOf(this);
		map.forEach((list, type) => {
			if (list.length > 0) names[names.length] = type;
		});
		return names;
	}
	listenerCount(type) {
		return listenersOfType(this, `${type}`).length;
	}
	on(type, listener) {
		return NodeEventTarget.#add(this, type, listener, false);
	}
	addListener(type, listener) {
		return NodeEventTarget.#add(this, type, listener, false);
	}
	once(type, listener) {
		return NodeEventTarget.#add(this, type, listener, true);
	}
	off(type, listener) {
		return NodeEventTarget.#remove(this, type, listener);
	}
	removeListener(type, listener) {
		return NodeEventTarget.#remove(this, type, listener);
	}
	removeAllListeners(type) {
		const map = NodeEventTarget.#listOf(this);
		const types = type === undefined ? this.eventNames() : [`${type}`];
		for (let i = 0; i < types.length; i++) {
			const list = map.get(types[i]) ?? [];
			for (let j = 0; j < list.length; j++)
				NodeEventTarget.#remove(this, types[i], list[j].listener);
		}
		return this;
	}
	emit(type, value) {
		type = `${type}`;
		const had = listenersOfType(this, type).length > 0;
		const event = new Event(type);
		ObjectDefineProperty(event, 'data', { __proto__: null, value, configurable: true });
		dispatch(this, event);
		return had;
	}
}

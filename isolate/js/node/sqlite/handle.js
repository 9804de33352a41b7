// What C calls by number: the functions of a database, kept by its native object, so that
// both can be collected together.

import { hooks } from '../../hooks.js';
import { native } from '../../native.js';
import { ReflectApply } from '../../primordials.js';

// As isolate/sqlite.h numbers them; functions and aggregates follow.
export const AUTHORIZER = 0;
export const FILTER = 1;
export const CONFLICT = 2;

let callbacksOf;

export class Handle extends native.SqliteDatabase {
	#callbacks = [undefined, undefined, undefined];
	#ids = { __proto__: null };

	static {
		callbacksOf = (handle) => handle.#callbacks;
	}
	// FUNCTIONS: a list, of which C calls one by its index. Those of the same name and number
	// of arguments take the place of the ones before.
	keep(name, count, functions) {
		const key = `${name} ${count}`;
		const id = (this.#ids[key] ??= this.#callbacks.length);
		this.#callbacks[id] = functions;
		return id;
	}
	set(id, callback) {
		const before = this.#callbacks[id];
		this.#callbacks[id] = callback === undefined ? undefined : [callback];
		return before?.[0];
	}
}

hooks.sqliteCall = (handle, id, which, list) =>
	ReflectApply(callbacksOf(handle)[id][which], undefined, list);

// What upstream files want of Node's numbers for asynchronous operations: there are none
// here; AsyncLocalStorage needs none.

import { ReflectApply, Symbol } from '../../../primordials.js';

export const symbols = {
	async_id_symbol: Symbol('async_id_symbol'),
	trigger_async_id_symbol: Symbol('trigger_async_id_symbol'),
	owner_symbol: Symbol('owner_symbol'),
};

export function defaultTriggerAsyncIdScope(id, callback, ...args) {
	return ReflectApply(callback, undefined, args);
}
export function getOrSetAsyncId() {
	return 0;
}
export function newAsyncId() {
	return 0;
}

// What upstream files want of ../../../abort.js.

import { AbortController, AbortSignal, addAbortAlgorithm, isAborted, isAbortSignal } from '../../../abort.js';
import { PromiseReject, PromiseWithResolvers, WeakRef } from '../../../primordials.js';
import { codes } from '../../errors.js';

export { AbortController, AbortSignal };

// util.aborted(signal, resource): fulfilled when SIGNAL aborts while RESOURCE is still
// there.
export function aborted(signal, resource) {
	if (!isAbortSignal(signal))
		return PromiseReject(new codes.ERR_INVALID_ARG_TYPE('signal', 'AbortSignal', signal));
	if ((typeof resource !== 'object' && typeof resource !== 'function') || resource === null)
		return PromiseReject(new codes.ERR_INVALID_ARG_TYPE('resource', 'object', resource));
	const { promise, resolve } = PromiseWithResolvers();
	if (isAborted(signal)) {
		resolve();
		return promise;
	}
	const reference = new WeakRef(resource);
	addAbortAlgorithm(signal, () => {
		if (reference.deref() !== undefined) resolve();
	});
	return promise;
}

// There are no other threads to transfer anything to.
export function transferableAbortController() {
	return new AbortController();
}
export function transferableAbortSignal(signal) {
	if (!isAbortSignal(signal)) throw new codes.ERR_INVALID_ARG_TYPE('signal', 'AbortSignal', signal);
	return signal;
}

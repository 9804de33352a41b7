// What a net.Socket and a net.Server stand on: native.NetStream (isolate/native_net.c), or
// something with the same methods over another stream. A handle tells its owner what
// happens: owner[onHandle](event, value, extra).

import { currentContext, enterContext } from '../../async_context.js';
import { hooks } from '../../hooks.js';
import { native } from '../../native.js';
import {
	Symbol,
	TypedArrayPrototypeGetBuffer,
	TypedArrayPrototypeGetByteLength,
	TypedArrayPrototypeGetByteOffset,
} from '../../primordials.js';
import { FastBuffer } from '../upstream/internal/buffer.js';

export const handleOwner = Symbol('owner');
export const onHandle = Symbol('onHandle');
const asyncContext = Symbol('async context');

// The numbers of isolate/native_net.c.
export const CONNECT = 0;
export const READ = 1;
export const WRITE = 2;
export const SHUTDOWN = 3;
export const CLOSE = 4;
export const CONNECTION = 5;

export function makeHandle() {
	return keepContext(new native.NetStream());
}

// What happens to HANDLE is of the context (AsyncLocalStorage) that it was made in.
export function keepContext(handle) {
	handle[asyncContext] = currentContext();
	return handle;
}

// What Node's HTTP library asks of handles. A connection that an agent keeps alive is of the
// context of the request that takes it next.
const { prototype } = native.NetStream;
prototype.asyncReset = function asyncReset() {
	keepContext(this);
};
prototype.getAsyncId = prototype.getProviderType = function getAsyncId() {
	return 0;
};

// A Buffer over the bytes that C gave.
export function bufferOf(bytes) {
	return new FastBuffer(
		TypedArrayPrototypeGetBuffer(bytes),
		TypedArrayPrototypeGetByteOffset(bytes),
		TypedArrayPrototypeGetByteLength(bytes),
	);
}

hooks.netEvent = (handle, event, value, extra) => {
	enterContext(handle[asyncContext]);
	handle[handleOwner]?.[onHandle](event, value, extra);
	enterContext(undefined);
};

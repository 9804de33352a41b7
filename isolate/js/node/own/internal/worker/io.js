// What internal/worker asks of Node's internal/worker/io: ports, and the streams of a thread
// on them.

import { Array, FunctionPrototypeCall, Symbol } from '../../../../primordials.js';
import {
	BroadcastChannel,
	drainMessagePort,
	MessageChannel,
	MessagePort,
	receiveMessageOnPort,
} from '../../../../messaging/port.js';
import { codes } from '../../../errors.js';
import { process } from '../../../process_object.js';
import { Readable, Writable } from '../../../stream.js';

export { BroadcastChannel, drainMessagePort, MessageChannel, MessagePort, receiveMessageOnPort };

export const kPort = Symbol('kPort');
export const kIncrementsPortRef = Symbol('kIncrementsPortRef');
export const kWaitingStreams = Symbol('kWaitingStreams');
export const kStdioWantsMoreDataCallback = Symbol('kStdioWantsMoreDataCallback');
const kName = Symbol('kName');
const kStartedReading = Symbol('kStartedReading');
const kWritableCallback = Symbol('kWritableCallback');

export const messageTypes = {
	UP_AND_RUNNING: 'upAndRunning',
	COULD_NOT_SERIALIZE_ERROR: 'couldNotSerializeError',
	ERROR_MESSAGE: 'errorMessage',
	STDIO_PAYLOAD: 'stdioPayload',
	STDIO_WANTS_MORE_DATA: 'stdioWantsMoreData',
	LOAD_SCRIPT: 'loadScript',
};

const { start } = MessagePort.prototype;

// PORT keeps the loop alive while somebody listens to EVENTNAME of EMITTER, another object.
export function setupPortReferencing(port, emitter, eventName) {
	port.unref();
	emitter.on('newListener', (name) => {
		if (name !== eventName || emitter.listenerCount(name) > 0) return;
		port.ref();
		FunctionPrototypeCall(start, port);
	});
	emitter.on('removeListener', (name) => {
		if (name === eventName && emitter.listenerCount(name) === 0) port.unref();
	});
}

export class ReadableWorkerStdio extends Readable {
	constructor(port, name) {
		super();
		this[kPort] = port;
		this[kName] = name;
		this[kIncrementsPortRef] = true;
		this[kStartedReading] = false;
		this.on('end', () => {
			if (this[kStartedReading] && this[kIncrementsPortRef] && --this[kPort][kWaitingStreams] === 0)
				this[kPort].unref();
		});
	}
	_read() {
		if (!this[kStartedReading] && this[kIncrementsPortRef]) {
			this[kStartedReading] = true;
			if (this[kPort][kWaitingStreams]++ === 0) this[kPort].ref();
		}
		this[kPort].postMessage({ type: messageTypes.STDIO_WANTS_MORE_DATA, stream: this[kName] });
	}
}

export class WritableWorkerStdio extends Writable {
	constructor(port, name) {
		super({ decodeStrings: false });
		this[kPort] = port;
		this[kName] = name;
		this[kWritableCallback] = null;
	}
	_writev(chunks, callback) {
		const toSend = new Array(chunks.length);
		for (let i = 0; i < chunks.length; i++)
			toSend[i] = { chunk: chunks[i].chunk, encoding: chunks[i].encoding };
		this[kPort].postMessage({ type: messageTypes.STDIO_PAYLOAD, stream: this[kName], chunks: toSend });
		if (process._exiting) {
			callback();
			return;
		}
		this[kWritableCallback] = callback;
		if (this[kPort][kWaitingStreams]++ === 0) this[kPort].ref();
	}
	_final(callback) {
		this[kPort].postMessage({
			type: messageTypes.STDIO_PAYLOAD,
			stream: this[kName],
			chunks: [{ chunk: null, encoding: '' }],
		});
		callback();
	}
	[kStdioWantsMoreDataCallback]() {
		const callback = this[kWritableCallback];
		if (!callback) return;
		this[kWritableCallback] = null;
		callback();
		if (--this[kPort][kWaitingStreams] === 0) this[kPort].unref();
	}
}

export function createWorkerStdio(port) {
	port[kWaitingStreams] = 0;
	return {
		stdin: new ReadableWorkerStdio(port, 'stdin'),
		stdout: new WritableWorkerStdio(port, 'stdout'),
		stderr: new WritableWorkerStdio(port, 'stderr'),
	};
}

// There is one context in a thread.
export function moveMessagePortToContext() {
	throw new codes.ERR_METHOD_NOT_IMPLEMENTED('worker_threads.moveMessagePortToContext()');
}

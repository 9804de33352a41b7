// process.stdin, stdout and stderr, as streams of node:stream.

import { hooks } from '../hooks.js';
import { native } from '../native.js';
import { enqueueTick } from '../ticks.js';
import { Buffer } from './buffer.js';
import { systemError } from './errors.js';
import { Readable, Writable } from './stream.js';

// Written at once, whole: nothing is lost when the program ends, as in Node where they
// are pipes or files.
function write(chunk, encoding, callback) {
	const isText = typeof chunk === 'string' && (encoding === 'utf8' || encoding === 'utf-8');
	const bytes = typeof chunk === 'string' && !isText ? Buffer.from(chunk, encoding) : chunk;
	native.writeStdio(this.fd, bytes);
	callback();
}

// Ending them closes nothing: the console may have more to say.
function destroy(error, callback) {
	callback(error);
	this._undestroy();
	if (!this._writableState.emitClose) enqueueTick(() => this.emit('close'), []);
}

function makeOutput(fd) {
	const stream = new Writable({ decodeStrings: false, emitClose: false, write });
	stream.fd = fd;
	stream._type = 'pipe';
	stream._isStdio = true;
	stream.destroySoon = stream.destroy;
	stream._destroy = destroy;
	return stream;
}

export const stdout = makeOutput(1);
export const stderr = makeOutput(2);

// ---- input ----

let stdin;

function startReading() {
	const result = native.stdinStart();
	if (result < 0) this.destroy(systemError(result, 'read'));
}

export function getStdin() {
	if (stdin !== undefined) return stdin;
	stdin = new Readable({ highWaterMark: 65536, read: startReading });
	stdin.fd = 0;
	stdin.ref = () => {
		native.stdinRef(true);
		return stdin;
	};
	stdin.unref = () => {
		native.stdinRef(false);
		return stdin;
	};
	// A program that does not want more input must be able to end.
	stdin.on('pause', () => {
		stdin._readableState.reading = false;
		native.stdinStop();
	});
	stdin._destroy = (error, callback) => {
		native.stdinStop();
		callback(error);
	};
	return stdin;
}

hooks.onStdin = (value) => {
	if (typeof value === 'number') {
		stdin.destroy(systemError(value, 'read'));
	} else if (value === null) {
		stdin.push(null);
	} else if (!stdin.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength))) {
		native.stdinStop();
	}
};

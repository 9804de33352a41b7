// tee() of default and of byte streams (streams standard, ReadableStreamTee).

import { ArrayBufferPrototypeSlice, isolate, Uint8Array } from '../primordials.js';
import { viewBuffer, viewByteLength, viewByteOffset } from '../bytes.js';
import { structuredClone } from '../clone.js';
import {
	acquireByobState,
	byobRead,
	byobRelease,
	byteControllerClose,
	byteControllerEnqueue,
	byteControllerError,
	getByobRequest,
	respond,
	respondWithNewView,
} from './bytes.js';
import {
	acquireReader,
	controllerClose,
	controllerEnqueue,
	controllerError,
	createByteState,
	createState,
	readableCancel,
	readerRead,
	readerRelease,
} from './readable.js';
import { Deferred, follow, resolvedPromise, upon } from './shared.js';

function later(callback) {
	upon(resolvedPromise(undefined), callback);
}

// What both kinds share: two branches, and canceling the source when both are canceled.
class Tee {
	constructor(stream) {
		this.stream = stream;
		this.reader = acquireReader(stream);
		this.reading = false;
		this.again = [false, false];
		this.canceled = [false, false];
		this.reasons = [undefined, undefined];
		this.branches = [undefined, undefined];
		this.cancelDone = new Deferred();
	}

	cancel(index, reason) {
		this.canceled[index] = true;
		this.reasons[index] = reason;
		if (this.canceled[1 - index])
			follow(
				this.cancelDone,
				readableCancel(this.stream, [this.reasons[0], this.reasons[1]]),
			);
		return this.cancelDone.promise;
	}

	// The source ended: nobody is left to cancel it.
	ended() {
		if (!this.canceled[0] || !this.canceled[1]) this.cancelDone.resolve(undefined);
	}

	eachOpen(callback) {
		for (let i = 0; i < 2; i++) if (!this.canceled[i]) callback(this.branches[i].controller);
	}

	fail(error) {
		follow(this.cancelDone, readableCancel(this.stream, error));
	}
}
isolate(Tee);

class DefaultTee extends Tee {
	constructor(stream, cloneForSecond) {
		super(stream);
		this.cloneForSecond = cloneForSecond;
		for (let i = 0; i < 2; i++)
			this.branches[i] = createState({
				pull: () => this.pull(),
				cancel: (reason) => this.cancel(i, reason),
			});
		upon(this.reader.closed.promise, undefined, (error) => {
			controllerError(this.branches[0].controller, error);
			controllerError(this.branches[1].controller, error);
			this.ended();
		});
	}

	pull() {
		if (this.reading) {
			this.again[0] = true;
			return resolvedPromise(undefined);
		}
		this.reading = true;
		readerRead(this.reader, {
			chunk: (chunk) => later(() => this.chunk(chunk)),
			close: () => {
				this.reading = false;
				this.eachOpen(controllerClose);
				this.ended();
			},
			error: () => {
				this.reading = false;
			},
		});
		return resolvedPromise(undefined);
	}

	chunk(chunk) {
		this.again[0] = false;
		let second = chunk;
		if (!this.canceled[1] && this.cloneForSecond) {
			try {
				second = structuredClone(chunk);
			} catch (error) {
				controllerError(this.branches[0].controller, error);
				controllerError(this.branches[1].controller, error);
				this.fail(error);
				return;
			}
		}
		if (!this.canceled[0]) controllerEnqueue(this.branches[0].controller, chunk);
		if (!this.canceled[1]) controllerEnqueue(this.branches[1].controller, second);
		this.reading = false;
		if (this.again[0]) this.pull();
	}
}

function cloneView(view) {
	const from = viewByteOffset(view);
	const buffer = ArrayBufferPrototypeSlice(viewBuffer(view), from, from + viewByteLength(view));
	return new Uint8Array(buffer);
}

class ByteTee extends Tee {
	constructor(stream) {
		super(stream);
		for (let i = 0; i < 2; i++)
			this.branches[i] = createByteState({
				pull: () => this.pull(i),
				cancel: (reason) => this.cancel(i, reason),
			});
		this.watchReader(this.reader);
	}

	watchReader(reader) {
		upon(reader.closed.promise, undefined, (error) => {
			if (reader !== this.reader) return;
			this.errorBranches(error);
			this.ended();
		});
	}

	errorBranches(error) {
		byteControllerError(this.branches[0].controller, error);
		byteControllerError(this.branches[1].controller, error);
	}

	pull(index) {
		if (this.reading) {
			this.again[index] = true;
			return resolvedPromise(undefined);
		}
		this.reading = true;
		const request = getByobRequest(this.branches[index].controller);
		if (request === null) this.pullDefault();
		else this.pullByob(request.view, index);
		return resolvedPromise(undefined);
	}

	goOn() {
		this.reading = false;
		if (this.again[0]) this.pull(0);
		else if (this.again[1]) this.pull(1);
	}

	// A copy for the other branch; undefined when that failed and all is over.
	copy(view) {
		try {
			return cloneView(view);
		} catch (error) {
			this.errorBranches(error);
			this.fail(error);
			return undefined;
		}
	}

	pullDefault() {
		if (this.reader.byob) {
			byobRelease(this.reader);
			this.reader = acquireReader(this.stream);
			this.watchReader(this.reader);
		}
		readerRead(this.reader, {
			chunk: (chunk) => later(() => this.defaultChunk(chunk)),
			close: () => {
				this.reading = false;
				this.eachOpen(byteControllerClose);
				for (let i = 0; i < 2; i++) {
					const { controller } = this.branches[i];
					if (controller.pullIntos.length > 0) respond(controller, 0);
				}
				this.ended();
			},
			error: () => {
				this.reading = false;
			},
		});
	}

	defaultChunk(chunk) {
		this.again = [false, false];
		let second = chunk;
		if (!this.canceled[0] && !this.canceled[1]) {
			second = this.copy(chunk);
			if (second === undefined) return;
		}
		if (!this.canceled[0]) byteControllerEnqueue(this.branches[0].controller, chunk);
		if (!this.canceled[1]) byteControllerEnqueue(this.branches[1].controller, second);
		this.goOn();
	}

	pullByob(view, index) {
		if (!this.reader.byob) {
			readerRelease(this.reader);
			this.reader = acquireByobState(this.stream);
			this.watchReader(this.reader);
		}
		byobRead(this.reader, view, 1, {
			chunk: (chunk) => later(() => this.byobChunk(chunk, index)),
			close: (chunk) => this.byobClose(chunk, index),
			error: () => {
				this.reading = false;
			},
		});
	}

	byobChunk(chunk, index) {
		this.again = [false, false];
		const { controller } = this.branches[index];
		if (!this.canceled[1 - index]) {
			const clone = this.copy(chunk);
			if (clone === undefined) return;
			if (!this.canceled[index]) respondWithNewView(controller, chunk);
			byteControllerEnqueue(this.branches[1 - index].controller, clone);
		} else if (!this.canceled[index]) {
			respondWithNewView(controller, chunk);
		}
		this.goOn();
	}

	byobClose(chunk, index) {
		this.reading = false;
		const own = this.branches[index].controller;
		const other = this.branches[1 - index].controller;
		if (!this.canceled[index]) byteControllerClose(own);
		if (!this.canceled[1 - index]) byteControllerClose(other);
		if (chunk !== undefined) {
			if (!this.canceled[index]) respondWithNewView(own, chunk);
			if (!this.canceled[1 - index] && other.pullIntos.length > 0) respond(other, 0);
		}
		this.ended();
	}
}

// Two stream states that get what STREAM gives. CLONE_FOR_SECOND: the second branch of a
// default stream gets structured clones.
export function tee(stream, cloneForSecond) {
	const it = stream.controller.isByte
		? new ByteTee(stream)
		: new DefaultTee(stream, cloneForSecond);
	return it.branches;
}

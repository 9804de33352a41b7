// pipeTo (streams standard, ReadableStreamPipeTo).

import { isolate } from '../primordials.js';
import { abortReason, addAbortAlgorithm, isAborted } from '../abort.js';
import { acquireReader, readableCancel, readerRead, readerRelease } from './readable.js';
import {
	chain,
	Deferred,
	nothing,
	resolvedPromise,
	stateError,
	transformPromise,
	upon,
} from './shared.js';
import {
	acquireWriter,
	closeQueuedOrInFlight,
	writableAbort,
	writerCloseWithErrorPropagation,
	writerRelease,
	writerWrite,
} from './writable.js';

function ignore() {}

class Pipe {
	constructor(source, destination, options) {
		this.source = source;
		this.destination = destination;
		this.options = options;
		this.reader = acquireReader(source);
		this.writer = acquireWriter(destination);
		this.done = new Deferred();
		this.shuttingDown = false;
		this.currentWrite = resolvedPromise(undefined);
		this.forgetSignal = ignore;
		source.disturbed = true;
	}

	start() {
		const { signal } = this.options;
		if (signal !== undefined) {
			const abort = () => this.abort(abortReason(signal));
			if (isAborted(signal)) {
				abort();
				return;
			}
			this.forgetSignal = addAbortAlgorithm(signal, abort);
		}
		this.watch();
		this.step();
	}

	abort(reason) {
		const { destination, options, source } = this;
		this.shutDown(
			() => {
				const actions = [];
				if (!options.preventAbort && destination.state === 'writable')
					actions[actions.length] = writableAbort(destination, reason);
				if (!options.preventCancel && source.state === 'readable')
					actions[actions.length] = readableCancel(source, reason);
				return waitForAll(actions);
			},
			true,
			reason,
		);
	}

	// Errors and closing of both ends, in the order of the standard.
	watch() {
		const { destination, options, source } = this;
		const sourceErrored = (error) =>
			this.shutDown(
				options.preventAbort ? undefined : () => writableAbort(destination, error),
				true,
				error,
			);
		const destinationErrored = (error) =>
			this.shutDown(
				options.preventCancel ? undefined : () => readableCancel(source, error),
				true,
				error,
			);
		const sourceClosed = () =>
			this.shutDown(
				options.preventClose
					? undefined
					: () => writerCloseWithErrorPropagation(this.writer),
				false,
			);
		if (source.state === 'errored') sourceErrored(source.storedError);
		else upon(this.reader.closed.promise, undefined, sourceErrored);
		if (destination.state === 'errored') destinationErrored(destination.storedError);
		else upon(this.writer.closed.promise, undefined, destinationErrored);
		if (source.state === 'closed') sourceClosed();
		else upon(this.reader.closed.promise, sourceClosed, ignore);
		if (closeQueuedOrInFlight(destination) || destination.state === 'closed') {
			const error = stateError('Destination WritableStream is closed');
			destinationErrored(error);
		}
	}

	// One chunk, when the destination is ready for it.
	step() {
		if (this.shuttingDown) return;
		upon(this.writer.ready.promise, () => this.read(), ignore);
	}

	read() {
		if (this.shuttingDown) return;
		readerRead(this.reader, {
			chunk: (chunk) => {
				// enqueue() of the source must not run write() of the destination.
				this.currentWrite = chain(nothing(), () => this.write(chunk));
			},
			close: ignore,
			error: ignore,
		});
	}

	write(chunk) {
		if (this.writer.stream === undefined) return nothing();
		const written = transformPromise(writerWrite(this.writer, chunk), undefined, ignore);
		this.step();
		return written;
	}

	// Chunks that were read must be written, as far as the destination lives.
	waitForWrites() {
		const { currentWrite } = this;
		return chain(currentWrite, () =>
			currentWrite === this.currentWrite ? nothing() : this.waitForWrites(),
		);
	}

	shutDown(action, isError, error) {
		if (this.shuttingDown) return;
		this.shuttingDown = true;
		const finish = () => {
			if (action === undefined) {
				this.finalize(isError, error);
				return;
			}
			upon(
				action(),
				() => this.finalize(isError, error),
				(newError) => this.finalize(true, newError),
			);
		};
		const { destination } = this;
		if (destination.state === 'writable' && !closeQueuedOrInFlight(destination))
			upon(this.waitForWrites(), finish, ignore);
		else finish();
	}

	finalize(isError, error) {
		writerRelease(this.writer);
		readerRelease(this.reader);
		this.forgetSignal();
		if (isError) this.done.reject(error);
		else this.done.resolve(undefined);
	}
}
isolate(Pipe);

// Fulfills when all have, rejects with the first rejection.
function waitForAll(promises) {
	if (promises.length === 0) return resolvedPromise(undefined);
	const deferred = new Deferred();
	let left = promises.length;
	for (let i = 0; i < promises.length; i++)
		upon(
			promises[i],
			() => {
				if (--left === 0) deferred.resolve(undefined);
			},
			deferred.reject,
		);
	return deferred.promise;
}

// Pipes stream states; OPTIONS: preventAbort, preventCancel, preventClose, signal.
export function pipe(source, destination, options) {
	const it = new Pipe(source, destination, options);
	it.start();
	return it.done.promise;
}

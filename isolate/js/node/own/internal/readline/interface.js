// Lines of a stream, for FileHandle.readLines(): node:readline without a terminal.

import EventEmitter from '../../../events.js';
import stringDecoder from 'string_decoder';
import { StringPrototypeIndexOf, StringPrototypeSlice, SymbolAsyncIterator } from '../../../../primordials.js';

// Where the first line of TEXT ends, and the next begins. A CR at the very end may be half
// of a CRLF. Undefined when there is no whole line.
function findLine(text, ended) {
	const newline = StringPrototypeIndexOf(text, '\n');
	const carriage = StringPrototypeIndexOf(text, '\r');
	if (carriage !== -1 && (newline === -1 || carriage < newline)) {
		if (carriage === text.length - 1 && !ended) return undefined;
		return [carriage, carriage + (text[carriage + 1] === '\n' ? 2 : 1)];
	}
	return newline === -1 ? undefined : [newline, newline + 1];
}

export class Interface extends EventEmitter {
	#decoder = new stringDecoder.StringDecoder('utf8');
	#text = '';
	#started = false;
	closed = false;

	constructor({ input }) {
		super();
		this.input = input;
		// Who iterates gets the error there.
		input.on('error', (error) => {
			if (!this.#started) this.emit('error', error);
		});
		this.on('newListener', (name) => {
			if (name === 'line') this.#start();
		});
	}
	#start() {
		if (this.#started) return;
		this.#started = true;
		queueMicrotask(async () => {
			try {
				for await (const line of this.#lines()) this.emit('line', line);
				this.close();
			} catch {
				this.close(); // The input has said it.
			}
		});
	}
	async *#lines() {
		for await (const chunk of this.input) {
			this.#text += typeof chunk === 'string' ? chunk : this.#decoder.write(chunk);
			yield* this.#take(false);
			if (this.closed) return;
		}
		this.#text += this.#decoder.end();
		yield* this.#take(true);
		if (this.#text !== '') yield this.#text;
		this.#text = '';
	}
	*#take(ended) {
		for (let found; (found = findLine(this.#text, ended)) !== undefined; ) {
			const line = StringPrototypeSlice(this.#text, 0, found[0]);
			this.#text = StringPrototypeSlice(this.#text, found[1]);
			yield line;
		}
	}
	close() {
		if (this.closed) return;
		this.closed = true;
		this.input.destroy();
		this.emit('close');
	}
	pause() {
		this.input.pause();
		return this;
	}
	resume() {
		this.input.resume();
		return this;
	}
	async *[SymbolAsyncIterator]() {
		this.#started = true;
		try {
			yield* this.#lines();
		} finally {
			this.close();
		}
	}
}

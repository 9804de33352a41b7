// CountQueuingStrategy and ByteLengthQueuingStrategy (streams standard, section 7).

import {
	defineInterface,
	illegalInvocation,
	inspectCustom,
	isObject,
	requireArguments,
} from '../webidl.js';
import { argumentError } from './shared.js';

function readMark(init) {
	if (!isObject(init)) throw argumentError('The "init" argument must be of type object');
	const { highWaterMark } = init;
	if (highWaterMark === undefined)
		throw argumentError('The "init.highWaterMark" property is required');
	return +highWaterMark;
}

function inspectStrategy(name, mark, depth, options, inspect) {
	if (typeof depth === 'number' && depth < 0) return name;
	const inner = { __proto__: null, ...options };
	if (options.depth !== null) inner.depth = options.depth - 1;
	return `${name} ${inspect({ highWaterMark: mark }, inner)}`;
}

// One function for all instances, as the standard says.
const countSize = { size: () => 1 }.size;
const byteSize = { size: (chunk) => chunk.byteLength }.size;

export class CountQueuingStrategy {
	#mark;

	constructor(init) {
		requireArguments(arguments.length, 1, 'CountQueuingStrategy constructor');
		this.#mark = readMark(init);
	}
	get highWaterMark() {
		return #mark in this ? this.#mark : illegalInvocation();
	}
	get size() {
		return #mark in this ? countSize : illegalInvocation();
	}
	[inspectCustom](depth, options, inspect) {
		return inspectStrategy('CountQueuingStrategy', this.#mark, depth, options, inspect);
	}
}
defineInterface(CountQueuingStrategy, 'CountQueuingStrategy');

export class ByteLengthQueuingStrategy {
	#mark;

	constructor(init) {
		requireArguments(arguments.length, 1, 'ByteLengthQueuingStrategy constructor');
		this.#mark = readMark(init);
	}
	get highWaterMark() {
		return #mark in this ? this.#mark : illegalInvocation();
	}
	get size() {
		return #mark in this ? byteSize : illegalInvocation();
	}
	[inspectCustom](depth, options, inspect) {
		return inspectStrategy('ByteLengthQueuingStrategy', this.#mark, depth, options, inspect);
	}
}
defineInterface(ByteLengthQueuingStrategy, 'ByteLengthQueuingStrategy');

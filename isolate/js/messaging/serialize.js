// Values for other threads, or other ports: what V8 cannot serialize by itself, and what can
// be transferred (HTML, 2.7: StructuredSerializeWithTransfer).

import {
	ArrayBufferPrototypeGetDetached,
	isolate,
	SafeMap,
	SymbolIterator,
	TypeError,
} from '../primordials.js';
import { registerCloneable, setTransfer } from '../clone.js';
import { DOMException } from '../errors.js';
import { hooks } from '../hooks.js';
import { native } from '../native.js';
import { untransferable } from '../untransferable.js';
import { isObject, isPlatformObject, toSequence } from '../webidl.js';

const { kind } = native;

export function cloneError(message) {
	return new DOMException(message, 'DataCloneError');
}

// ---- objects that can be serialized, by name ----

const serializables = []; // { name, is, write, read }
const byName = new SafeMap();

// For an object of the library's that is made anew on the other side: WRITE(object) gives a
// value that can be serialized, READ(value) the object. IS is the brand check.
export function registerSerializable(name, is, write, read) {
	const entry = { name, is, write, read };
	serializables[serializables.length] = entry;
	byName.set(name, entry);
	registerCloneable(is, (object, inner) => read(inner(write(object))));
}

// ---- objects that can be transferred, by a letter ----

const transferables = new SafeMap();

// IS is the brand check, CHECK throws for one that cannot be transferred now, TAKE(object)
// gives the native ports that stand for it (as many as COUNT) and detaches it, RECEIVE(…ports)
// is the new object.
export function registerTransferable(letter, count, is, check, take, receive) {
	transferables.set(letter, { letter, count, is, check, take, receive });
}

function transferableOf(object) {
	let found;
	transferables.forEach((entry) => {
		if (found === undefined && entry.is(object)) found = entry;
	});
	return found;
}

// ---- one message ----

class Transfer {
	constructor() {
		this.buffers = [];
		this.objects = [];
		this.entries = [];
		this.places = new SafeMap(); // object -> its place in OBJECTS
	}
}
isolate(Transfer);

let current; // the transfer of the value that is being written

function checkBuffer(buffer, list) {
	if (ArrayBufferPrototypeGetDetached(buffer) || buffer[untransferable] === true)
		throw cloneError('Cannot transfer object of unsupported type.');
	for (let i = 0; i < list.length; i++)
		if (list[i] === buffer) throw cloneError('Transfer list contains duplicate ArrayBuffer');
	list[list.length] = buffer;
}

function checkTransfer(list, source) {
	const transfer = new Transfer();
	for (let i = 0; i < list.length; i++) {
		const item = list[i];
		if (isObject(item) && kind(item) === 'ArrayBuffer') {
			checkBuffer(item, transfer.buffers);
			continue;
		}
		const entry = isObject(item) ? transferableOf(item) : undefined;
		if (entry === undefined || item[untransferable] === true)
			throw cloneError('Found invalid value in transferList.');
		if (item === source) throw cloneError('Transfer list contains source port');
		if (transfer.places.has(item))
			throw cloneError(`Transfer list contains duplicate ${item.constructor?.name ?? 'object'}`);
		entry.check(item);
		transfer.places.set(item, transfer.objects.length);
		transfer.objects[transfer.objects.length] = item;
		transfer.entries[transfer.entries.length] = entry;
	}
	return transfer;
}

// { message, types, ports } of VALUE and what is transferred with it (an array); both are
// read by `deserialize`, here or in another thread. SOURCE: the port that it is sent by.
export function serialize(value, list, source) {
	const outer = current;
	const transfer = list.length === 0 ? undefined : checkTransfer(list, source);
	let message;
	current = transfer;
	try {
		message = native.messageWrite(value, transfer === undefined ? undefined : transfer.buffers);
	} finally {
		current = outer;
	}
	let types = '';
	const ports = [];
	if (transfer !== undefined) {
		const { entries, objects } = transfer;
		// A getter of the value may have detached one while it was written.
		for (let i = 0; i < objects.length; i++) entries[i].check(objects[i]);
		for (let i = 0; i < objects.length; i++) {
			types += entries[i].letter;
			const taken = entries[i].take(objects[i]);
			for (let j = 0; j < taken.length; j++) ports[ports.length] = taken[j];
		}
	}
	return { message, types, ports };
}

// The objects that arrived with a message.
export function receiveTransferred(types, ports) {
	const objects = [];
	let next = 0;
	for (let i = 0; i < types.length; i++) {
		const entry = transferables.get(types[i]);
		const mine = [];
		for (let j = 0; j < entry.count; j++) mine[j] = ports[next++];
		objects[i] = entry.receive(mine[0], mine[1]);
	}
	return objects;
}

// ---- for the engine ----

// The mark of markAsUncloneable. Plain objects are never asked for it.
export const uncloneable = native.privateSymbol('uncloneable');

hooks.isHost = (object) => {
	if (isPlatformObject(object) || object[uncloneable] === true) return true;
	if (current !== undefined && current.places.has(object)) return true;
	for (let i = 0; i < serializables.length; i++) if (serializables[i].is(object)) return true;
	return false;
};

hooks.writeHost = (object) => {
	const place = current?.places.get(object);
	if (place !== undefined) return place;
	if (object[uncloneable] === true)
		throw cloneError(`#<${object.constructor?.name ?? 'Object'}> could not be cloned.`);
	for (let i = 0; i < serializables.length; i++) {
		const entry = serializables[i];
		if (entry.is(object)) return [entry.name, entry.write(object)];
	}
	if (transferableOf(object) !== undefined)
		throw cloneError(
			'Object that needs transfer was found in message but not listed in transferList',
		);
	throw cloneError(`#<${object.constructor?.name ?? 'Object'}> could not be cloned.`);
};

hooks.readHost = (value, objects) =>
	typeof value === 'number' ? objects[value] : byName.get(value[0]).read(value[1]);

hooks.makeCloneError = (message) => cloneError(message);

// ---- arguments ----

function notIterable(what) {
	const error = new TypeError(`Optional ${what} argument must be an iterable`);
	error.code = 'ERR_INVALID_ARG_TYPE';
	return error;
}

function toList(value, what) {
	const iterator = isObject(value) ? value[SymbolIterator] : undefined;
	if (typeof iterator !== 'function') throw notIterable(what);
	return toSequence(value, iterator, (item) => item, what);
}

// The second argument of postMessage: a list, or { transfer }.
export function toTransferList(value) {
	if (value === undefined || value === null) return [];
	if (!isObject(value)) throw notIterable('transferList');
	if (value[SymbolIterator] !== undefined && value[SymbolIterator] !== null)
		return toList(value, 'transferList');
	const { transfer } = value;
	return transfer === undefined ? [] : toList(transfer, 'options.transfer');
}

// structuredClone with ports or streams in its list goes the way of a message.
setTransfer({
	needed(list) {
		for (let i = 0; i < list.length; i++)
			if (isObject(list[i]) && kind(list[i]) !== 'ArrayBuffer' && transferableOf(list[i]) !== undefined)
				return true;
		return false;
	},
	clone(value, list) {
		const { message, types, ports } = serialize(value, list, undefined);
		return message.read(receiveTransferred(types, ports));
	},
});

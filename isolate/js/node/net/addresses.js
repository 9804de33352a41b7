// Addresses as numbers: internalBinding('block_list') for net.BlockList and
// net.SocketAddress, and the one way to write an address that certificates are compared in.

import {
	ArrayPrototypePush,
	ArrayPrototypeSplice,
	BigInt,
	Error,
	NumberParseInt,
	NumberPrototypeToString,
	Number,
	RegExpPrototypeExec,
	StringPrototypeIncludes,
	StringPrototypeIndexOf,
	StringPrototypeSlice,
	StringPrototypeSplit,
} from '../../primordials.js';
import { isIP, isIPv4, isIPv6 } from '../own/internal/net.js';

const AF_INET = 2;
const AF_INET6 = 10;
const MAPPED = 0xffffn << 32n; // ::ffff:0:0/96

function numberOfFour(text) {
	const parts = StringPrototypeSplit(text, '.');
	let value = 0n;
	for (let i = 0; i < 4; i++) value = (value << 8n) | BigInt(+parts[i]);
	return value;
}

function partsOf(text) {
	return text === '' ? [] : StringPrototypeSplit(text, ':');
}

function numberOfSix(text) {
	const zone = StringPrototypeIndexOf(text, '%');
	if (zone >= 0) text = StringPrototypeSlice(text, 0, zone);
	const dotted = RegExpPrototypeExec(/^(.*:)(\d+\.\d+\.\d+\.\d+)$/, text);
	if (dotted !== null) {
		const four = numberOfFour(dotted[2]);
		text = `${dotted[1]}${NumberPrototypeToString(Number(four >> 16n), 16)}:${NumberPrototypeToString(Number(four & 0xffffn), 16)}`;
	}
	const gap = StringPrototypeIndexOf(text, '::');
	const head = partsOf(gap < 0 ? text : StringPrototypeSlice(text, 0, gap));
	const tail = gap < 0 ? [] : partsOf(StringPrototypeSlice(text, gap + 2));
	let value = 0n;
	for (let i = 0; i < 8; i++) {
		const fromEnd = i - (8 - tail.length);
		let part = '0';
		if (i < head.length) part = head[i];
		else if (fromEnd >= 0) part = tail[fromEnd];
		value = (value << 16n) | BigInt(NumberParseInt(part, 16));
	}
	return value;
}

// inet_ntop's form: lower case, the longest run of zeros left out, mapped IPv4 with dots.
function textOfSix(value) {
	const parts = [];
	for (let i = 7; i >= 0; i--) ArrayPrototypePush(parts, Number((value >> BigInt(i * 16)) & 0xffffn));
	if (value >> 32n === 0xffffn) return `::ffff:${textOfFour(value & 0xffffffffn)}`;
	let best = -1;
	let bestLength = 1;
	for (let i = 0; i < 8; i++) {
		let length = 0;
		while (i + length < 8 && parts[i + length] === 0) length++;
		if (length > bestLength) {
			best = i;
			bestLength = length;
		}
	}
	let text = '';
	for (let i = 0; i < 8; i++) {
		if (i === best) {
			text += i === 0 ? '::' : ':';
			i += bestLength - 1;
		} else {
			text += NumberPrototypeToString(parts[i], 16);
			if (i < 7) text += ':';
		}
	}
	return text;
}

function textOfFour(value) {
	const at = (shift) => Number((value >> shift) & 0xffn);
	return `${at(24n)}.${at(16n)}.${at(8n)}.${at(0n)}`;
}

// The one way to write the address TEXT; undefined when it is none.
export function canonicalizeIP(text) {
	switch (isIP(text)) {
		case 4:
			return text;
		case 6:
			return StringPrototypeIncludes(text, '%') ? undefined : textOfSix(numberOfSix(text));
		default:
			return undefined;
	}
}

export class SocketAddress {
	constructor(address, port, family, flowlabel) {
		if (family === AF_INET ? !isIPv4(address) : !isIPv6(address)) {
			// Made by hand: Node's error classes need internalBinding, of which this is a part.
			const error = new Error('Invalid address');
			error.code = 'ERR_INVALID_ADDRESS';
			throw error;
		}
		this.number = family === AF_INET ? numberOfFour(address) : numberOfSix(address);
		this.ipv6 = family === AF_INET6;
		this.port = port;
		this.label = flowlabel;
	}
	detail(out) {
		out.address = this.text();
		out.port = this.port;
		out.family = this.ipv6 ? AF_INET6 : AF_INET;
		out.flowlabel = this.label;
		return out;
	}
	flowlabel() {
		return this.label;
	}
	text() {
		return this.ipv6 ? textOfSix(this.number) : textOfFour(this.number);
	}
	familyName() {
		return this.ipv6 ? 'IPv6' : 'IPv4';
	}
}

// A rule is a range of numbers of one family; an IPv4 address in IPv6 form is tried as
// both, and so is a rule that was given in that form.
function ruleMatches(rule, address) {
	if (rule.ipv6 === address.ipv6) return address.number >= rule.first && address.number <= rule.last;
	const number = rule.ipv6 ? address.number | MAPPED : address.number - MAPPED;
	if (!rule.ipv6 && address.number >> 32n !== 0xffffn) return false;
	return number >= rule.first && number <= rule.last;
}

export class BlockList {
	#rules = [];

	#add(kind, start, first, last, text) {
		ArrayPrototypePush(this.#rules, {
			__proto__: null,
			kind,
			first,
			last,
			ipv6: start.ipv6,
			text: `${kind}: ${start.familyName()} ${text}`,
		});
	}
	#remove(kind, start, text) {
		const wanted = `${kind}: ${start.familyName()} ${text}`;
		for (let i = 0; i < this.#rules.length; i++) {
			if (this.#rules[i].text !== wanted) continue;
			ArrayPrototypeSplice(this.#rules, i, 1);
			return;
		}
	}
	addAddress(address) {
		this.#add('Address', address, address.number, address.number, address.text());
	}
	addAddresses(addresses) {
		for (let i = 0; i < addresses.length; i++) this.addAddress(addresses[i]);
	}
	addRange(start, end) {
		if (start.ipv6 !== end.ipv6 || start.number > end.number) return false;
		this.#add('Range', start, start.number, end.number, `${start.text()}-${end.text()}`);
		return true;
	}
	addSubnet(network, prefix) {
		const bits = BigInt((network.ipv6 ? 128 : 32) - prefix);
		const first = (network.number >> bits) << bits;
		this.#add('Subnet', network, first, first | ((1n << bits) - 1n), `${network.text()}/${prefix}`);
	}
	removeAddress(address) {
		this.#remove('Address', address, address.text());
	}
	removeRange(start, end) {
		this.#remove('Range', start, `${start.text()}-${end.text()}`);
	}
	removeSubnet(network, prefix) {
		this.#remove('Subnet', network, `${network.text()}/${prefix}`);
	}
	check(address) {
		for (let i = 0; i < this.#rules.length; i++)
			if (ruleMatches(this.#rules[i], address)) return true;
		return false;
	}
	checkString(text, family) {
		if (family === AF_INET ? !isIPv4(text) : !isIPv6(text)) return false;
		return this.check(new SocketAddress(text, 0, family, 0));
	}
	getRules() {
		// Node's order: single addresses, then the rest, the newest first.
		const texts = [];
		const rules = this.#rules;
		for (let i = 0; i < rules.length; i++)
			if (rules[i].kind === 'Address') ArrayPrototypePush(texts, rules[i].text);
		for (let i = rules.length - 1; i >= 0; i--)
			if (rules[i].kind !== 'Address') ArrayPrototypePush(texts, rules[i].text);
		return texts;
	}
	clear() {
		this.#rules = [];
	}
}

export const blockListBinding = { AF_INET, AF_INET6, BlockList, SocketAddress, FLOW_LABEL: 1 };

// What node:net knows of addresses without asking anybody.

import { RegExp, RegExpPrototypeExec, StringPrototypeStartsWith, StringPrototypeToLowerCase } from '../../../primordials.js';

const FOUR_PART = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]\\d|\\d)';
const FOUR = `(?:${FOUR_PART}\\.){3}${FOUR_PART}`;
const fourPattern = new RegExp(`^${FOUR}$`);
const PART = '[0-9a-fA-F]{1,4}';

// Up to eight parts, two for an IPv4 address at the end, and at most one gap.
function sixPattern() {
	const tails = [];
	for (let before = 0; before <= 6; before++) {
		const head = before === 0 ? '' : `(?:${PART}:){${before}}`;
		const most = 7 - before;
		const gap = before === 0 ? ':' : '';
		const mapped = most >= 2 ? `(?::${PART}){0,${most - 2}}:${FOUR}|` : '';
		tails[before] = `${head}${gap}(?:${mapped}(?::${PART}){1,${most}}|:)`;
	}
	const whole = `(?:${PART}:){7}(?:${PART}|:)|(?:${PART}:){6}${FOUR}`;
	let text = whole;
	for (let i = 0; i < tails.length; i++) text += `|${tails[i]}`;
	return new RegExp(`^(?:${text})(?:%[0-9a-zA-Z-.:]{1,})?$`);
}
const six = sixPattern();

export function isIPv4(text) {
	return RegExpPrototypeExec(fourPattern, `${text}`) !== null;
}

export function isIPv6(text) {
	return RegExpPrototypeExec(six, `${text}`) !== null;
}

export function isIP(text) {
	if (isIPv4(text)) return 4;
	return isIPv6(text) ? 6 : 0;
}

export function isLoopback(host) {
	const name = StringPrototypeToLowerCase(host);
	return (
		name === 'localhost' ||
		StringPrototypeStartsWith(name, '127.') ||
		name === '[::1]' ||
		name === '[0:0:0:0:0:0:0:1]'
	);
}

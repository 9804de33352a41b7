// The expression where an error was made, for the message of a failed assert.ok(...).

import { native } from '../../../../native.js';

const closing = { __proto__: null, '(': ')', '[': ']', '{': '}' };

// The index after the string, template or comment that begins at AT, or AT itself.
function skip(code, at) {
	const character = code[at];
	if (character !== "'" && character !== '"' && character !== '`') return at;
	for (let i = at + 1; i < code.length; i++) {
		if (code[i] === '\\') i++;
		else if (code[i] === character) return i + 1;
	}
	return code.length;
}

// The call that begins at START: up to the parenthesis that closes its first one, or to
// the end of the line, if it goes on on the next one.
function callAt(code, start) {
	const open = [];
	for (let i = start; i < code.length; ) {
		const next = skip(code, i);
		if (next !== i) {
			i = next;
			continue;
		}
		const character = code[i++];
		if (closing[character] !== undefined) open.push(closing[character]);
		else if (character === ';' && open.length === 0) return code.slice(start, i - 1);
		else if (character === open.at(-1)) {
			open.pop();
			if (open.length === 0 && character === ')') return code.slice(start, i);
		}
	}
	return code.slice(start);
}

export function getErrorSourceExpression(error) {
	const place = native.errorPlace(error);
	if (place === undefined) return undefined;
	const [line, column] = place;
	// V8 says where the name of the method is: `ok` in `assert.ok(…)`.
	const before = /[\w$]+(?:\s*\??\.\s*[\w$]+)*\s*\??\.\s*$/.exec(line.slice(0, column));
	return callAt(line, before === null ? column : before.index);
}

import assert, { strict, AssertionError } from 'node:assert';
import strictToo from 'node:assert/strict';

function attempt(run) {
	try {
		run();
		console.log('passed');
	} catch (error) {
		console.log(error.name, error.code, error.generatedMessage, error.operator, '\n' + error.message);
	}
}
attempt(() => assert.strictEqual(1, 2));
attempt(() => assert.strictEqual('a\nb\nc', 'a\nx\nc'));
attempt(() => assert.deepStrictEqual({ a: 1, b: [1, 2, { c: 3 }] }, { a: 1, b: [1, 2, { c: 4 }] }));
attempt(() => assert.deepEqual([1, '2'], [1, 2]));
attempt(() => strict.deepEqual([1, '2'], [1, 2]));
attempt(() => assert.deepStrictEqual(new Map([[1, { a: 1 }]]), new Map([[1, { a: 1 }]])));
attempt(() => assert.deepStrictEqual(new Set([1, 2]), new Set([1, 3])));
attempt(() => assert.notStrictEqual(1, 1));
attempt(() => assert.notDeepStrictEqual({ a: 1 }, { a: 1 }));
attempt(() => assert.equal(1, 2, 'my message'));
attempt(() => assert.ok(0, 'falsy'));
attempt(() => assert());
attempt(() => assert.ok(typeof 123 === 'string'));
attempt(() => assert(false));
attempt(() => assert.throws(() => {}));
attempt(() => assert.throws(() => { throw new TypeError('wrong'); }, RangeError));
attempt(() => assert.throws(() => { throw new TypeError('wrong'); }, /other/));
attempt(() => assert.throws(() => { throw new TypeError('wrong'); }, { name: 'TypeError', message: 'wrong' }));
attempt(() => assert.throws(() => { throw new TypeError('wrong'); }, { name: 'TypeError', message: 'right' }));
attempt(() => assert.doesNotThrow(() => { throw new Error('did'); }));
attempt(() => assert.match('abc', /x/));
attempt(() => assert.doesNotMatch('abc', /b/));
attempt(() => assert.ifError(null));
attempt(() => assert.ifError(new Error('if')));
attempt(() => assert.fail());
attempt(() => assert.fail('boom'));
attempt(() => assert.partialDeepStrictEqual({ a: 1, b: 2 }, { a: 1 }));
await assert.rejects(Promise.reject(new Error('r')), /r/);
await assert.rejects(Promise.resolve(1)).catch((error) => console.log(error.code, error.message));
await assert.doesNotReject(Promise.reject(new Error('r2'))).catch((error) => console.log(error.code, error.message));
console.log(new AssertionError({ actual: 1, expected: 2, operator: 'strictEqual' }).message, strictToo === strict, assert.AssertionError === AssertionError);

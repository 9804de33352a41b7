import util, { promisify, callbackify, inherits, deprecate, types, isDeepStrictEqual, parseArgs, styleText, stripVTControlCharacters, format, inspect, debuglog, aborted, toUSVString, MIMEType, TextDecoder, getSystemErrorName } from 'node:util';

console.log(Object.keys(util).filter((k) => !['setTraceSigInt'].includes(k)).sort().join(' '));
console.log(format('%s %d %i %f %j %o %O %% %c x', 'a', '5', '6.7', '1.5', { a: 1 }, [1], { b: 2 }, 'css'), format(1, 'a', Symbol('s')));
console.log(inspect({ a: [1, { b: new Map([[1, new Set([2])]]) }], f() {}, s: Symbol('x'), d: new Date(0) }, { depth: 0 }), inspect('a\'b'), inspect(new Proxy({}, {}), { showProxy: true }));
console.log(await promisify((a, done) => done(null, a + 1))(1), await promisify(setTimeout)(1, 'v'));
await promisify((done) => done(new Error('no')))().catch((error) => console.log(error.message));
console.log(promisify(promisify).name, promisify.custom);
await new Promise((resolve) => callbackify(async (a) => a * 2)(4, (error, value) => resolve(console.log(error, value))));
await new Promise((resolve) => callbackify(async () => Promise.reject(null))((error) => resolve(console.log(error.code, error.message))));
function A() {}
function B() {}
inherits(A, B);
console.log(new A() instanceof B, A.super_ === B);
const old = deprecate(() => 'still', 'is old', 'DEP_TEST');
process.once('warning', (w) => console.log(w.name, w.code, w.message));
console.log(old(), old());
await new Promise((resolve) => setTimeout(resolve, 1));
console.log(Object.keys(types).sort().join(' '));
const values = { date: new Date(), map: new Map(), set: new Set(), re: /a/, error: new Error('x'), promise: Promise.resolve(), proxy: new Proxy({}, {}), bytes: new Uint8Array(1), view: new DataView(new ArrayBuffer(1)), buffer: new ArrayBuffer(1), shared: new SharedArrayBuffer(1), num: new Number(1), gen: (function* () {})(), genf: function* () {}, asyncf: async () => {}, agen: async function* () {}, args: (function () { return arguments; })(), weak: new WeakMap(), mi: new Map().keys(), sym: Object(Symbol()) };
for (const [name, value] of Object.entries(values))
	console.log(name, Object.keys(types).filter((t) => types[t](value)).sort().join(' '));
console.log(isDeepStrictEqual({ a: [1, new Map([[{ k: 1 }, 2]])] }, { a: [1, new Map([[{ k: 1 }, 2]])] }), isDeepStrictEqual([0], [-0]), isDeepStrictEqual(NaN, NaN));
console.log(parseArgs({ args: ['-f', '--bar', 'b', 'pos', '--no-color', '--', 'x'], options: { foo: { type: 'boolean', short: 'f' }, bar: { type: 'string' }, color: { type: 'boolean' } }, allowPositionals: true, allowNegative: true }));
try {
	parseArgs({ args: ['--nope'] });
} catch (error) {
	console.log(error.code, error.message);
}
console.log(JSON.stringify(styleText('red', 'x', { validateStream: false })), stripVTControlCharacters('\u001b[31mx\u001b[39m'), toUSVString('a\ud800'));
console.log(debuglog('nothing').enabled, new MIMEType('text/html; charset=utf-8').essence, new TextDecoder().encoding, getSystemErrorName(-2));
const controller = new AbortController();
const waiting = aborted(controller.signal, {});
controller.abort();
console.log(util.diff?.(['a'], ['b']), util.parseEnv('A=1\nB="x y" # c\nexport C=\'q\'\n'), util.toUSVString('x'));
console.log(util.inspect(new (class Foo { [util.inspect.custom](d, o) { return `custom ${o.depth}`; } })()));
for (const run of [() => promisify(5), () => inherits(A, 5), () => util.debuglog, () => new util.TextDecoder('nope'), () => util.format.call(), () => util.stripVTControlCharacters(5), () => util.styleText('no', 'x')])
	try {
		console.log(typeof run());
	} catch (error) {
		console.log(error.name, error.code, error.message);
	}
console.log(util.types.isExternal({}), util.isArray([]), util.getCallSites().length > 0);

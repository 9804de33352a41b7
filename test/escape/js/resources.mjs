// One way each to use up what there is (peers: "resource exhaustion"). Argument: its name.
import process from 'node:process';

const sink = [];
const bombs = {
	arraybuffer: () => { for (;;) sink.push(new ArrayBuffer(1 << 24), new Uint8Array(1 << 20).fill(1)); },
	shared: () => { for (;;) sink.push(new Uint8Array(new SharedArrayBuffer(1 << 22)).fill(1)); },
	growth: () => { const memory = new ArrayBuffer(0, { maxByteLength: 1 << 31 }); for (let n = 1 << 20; ; n += 1 << 20) { memory.resize(n); new Uint8Array(memory).fill(1); } },
	array: () => { for (;;) sink.push(new Array(1e6).fill({})); },
	string: () => { let text = 'x'; for (;;) { text += text + Math.random(); sink.push(text.length > 1e8 ? JSON.stringify(text) : text); } },
	wasm: () => { const memory = new WebAssembly.Memory({ initial: 1 }); for (;;) { memory.grow(64); new Uint8Array(memory.buffer).fill(1); } },
	regexp: () => /^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(60)),
	loop: () => { for (;;); },
	microtasks: () => { const again = () => Promise.resolve().then(again); again(); },
	ticks: () => { const again = () => process.nextTick(again); again(); },
	promises: () => { for (;;) sink.push(new Promise(() => {})); },
	timers: () => { for (;;) sink.push(setTimeout(() => {}, 1e9)); },
	wait: () => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); },
	recursion: () => { const deeper = () => deeper() + 1; deeper(); },
	json: () => { let text = '1'; for (let i = 0; i < 24; i++) text = `[${text},${text}]`; sink.push(JSON.parse(text), JSON.parse(text), JSON.parse(text), JSON.parse(text)); for (;;) sink.push(JSON.parse(text)); },
	output: () => { for (;;) console.log('x'.repeat(1 << 16)); },
	sigterm: () => { process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); setTimeout(() => process.exit(77), 2000); },
	exit: () => { process.on('exit', () => { for (;;); }); process.exit(0); },
};
if (!Object.hasOwn(bombs, process.argv[2])) throw new Error('no such bomb');
bombs[process.argv[2]]();

import process from 'node:process';
import cluster from 'node:cluster';

const attempt = (name, run) => {
	try {
		console.log(name, run());
	} catch (error) {
		console.log(name, error.name, error.code, error.message);
	}
};
attempt('kill', () => process.kill('a'));
attempt('kill', () => process.kill(process.pid, 'SIGFOO'));
attempt('kill', () => process.kill(process.pid, 0));
attempt('umask', () => process.umask('x'));
attempt('umask', () => (process.umask(0o22), process.umask()));
attempt('hrtime', () => process.hrtime([1]));
attempt('hrtime', () => process.hrtime(1));
attempt('cpu', () => process.cpuUsage({ user: 1 }));
attempt('cpu', () => process.cpuUsage({ user: -1, system: 1 }));
attempt('env', () => Object.defineProperty(process.env, 'a', { value: 1 }));
attempt('env', () => (process.env[Symbol()] = 1));
attempt('env', () => process.env[Symbol()]);
attempt('env', () => ((process.env.FOO = undefined), [process.env.FOO, 'FOO' in process.env]));
attempt('env', () => [delete process.env.FOO, process.env.FOO, 'FOO' in process.env]);
attempt('capture', () => process.setUncaughtExceptionCaptureCallback(5));
attempt('load', () => process.loadEnvFile(5));
attempt('code', () => (process.exitCode = 'abc'));
attempt('code', () => (process.exitCode = 1.5));
attempt('tick', () => process.nextTick());
attempt('maps', () => process.setSourceMapsEnabled(5));
attempt('usage', () => Object.keys(process.resourceUsage()).join());
attempt('memory', () => [typeof process.availableMemory(), typeof process.constrainedMemory(), typeof process.memoryUsage.rss()]);
attempt('flags', () => [Object.isFrozen(process.allowedNodeEnvironmentFlags), process.allowedNodeEnvironmentFlags.has('--nope')]);
attempt('resources', () => {
	const timer = setTimeout(() => {}, 1000);
	const list = process.getActiveResourcesInfo().includes('Timeout');
	clearTimeout(timer);
	return list;
});
attempt('cluster', () => [cluster.isPrimary, cluster.isMaster, cluster.isWorker, cluster.workers]);
console.log(process.listenerCount('warning'), process.env.NOPE, Object.isFrozen(process.config));

process.setUncaughtExceptionCaptureCallback((error) => console.log('captured', error.message));
console.log(process.hasUncaughtExceptionCaptureCallback());
setTimeout(() => {
	throw new Error('one');
});
await new Promise((resolve) => setTimeout(resolve, 10));
process.setUncaughtExceptionCaptureCallback(null);
process.on('uncaughtExceptionMonitor', (error, origin) => console.log('monitor', error.message, origin));
process.once('uncaughtException', (error, origin) => console.log('uncaught', error.message, origin));
setTimeout(() => {
	throw new Error('two');
});
await new Promise((resolve) => setTimeout(resolve, 10));
process.once('SIGUSR2', (name, number) => console.log(name, number));
process.kill(process.pid, 'SIGUSR2');
await new Promise((resolve) => setTimeout(resolve, 50));
const late = Promise.reject(new Error('late'));
process.once('unhandledRejection', (error) => console.log('unhandled', error.message));
process.once('rejectionHandled', (promise) => console.log('handled', promise === late));
await new Promise((resolve) => setTimeout(resolve, 10));
late.catch(() => {});
await new Promise((resolve) => setTimeout(resolve, 10));

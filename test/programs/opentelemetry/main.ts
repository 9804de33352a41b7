// The OpenTelemetry API with its SDK: the active span follows promises, timers, events and
// streams of the request that it belongs to, however many there are at once.
import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import { context, propagation, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

const exporter = new InMemorySpanExporter();
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
const tracer = trace.getTracer('tenantd', '1.0.0');

const active = () => trace.getActiveSpan()?.spanContext().spanId;

// Where the active span is lost on the way, by name.
async function lost(span: string) {
	const names: string[] = [];
	const look = (name: string) => {
		if (active() !== span) names.push(name);
	};
	await null;
	look('await');
	await new Promise((done) => setTimeout(done, Math.random() * 20));
	look('timer');
	await new Promise<void>((done) => setImmediate(() => (look('immediate'), done())));
	await new Promise<void>((done) => process.nextTick(() => (look('tick'), done())));
	await new Promise<void>((done) => queueMicrotask(() => (look('microtask'), done())));
	await readFile(new URL(import.meta.url));
	look('file');
	await crypto.subtle.digest('SHA-256', new Uint8Array(1000));
	look('crypto');
	await new Response(new Blob(['x']).stream().pipeThrough(new CompressionStream('gzip'))).bytes();
	look('stream');
	const emitter = new EventEmitter();
	emitter.on('event', context.bind(context.active(), () => look('event')));
	context.with(ROOT_CONTEXT, () => emitter.emit('event'));
	return names;
}

export default {
	async fetch(request: Request) {
		const url = new URL(request.url);
		if (url.pathname === '/spans') {
			const spans = exporter.getFinishedSpans().map((span) => ({
				name: span.name,
				trace: span.spanContext().traceId,
				parent: span.parentSpanContext?.spanId,
				id: span.spanContext().spanId,
				status: span.status.code,
				attributes: span.attributes,
			}));
			return Response.json(spans);
		}
		const parent = propagation.extract(context.active(), Object.fromEntries(request.headers));
		return context.with(parent, () =>
			tracer.startActiveSpan('request', async (span) => {
				span.setAttribute('path', url.pathname);
				const names = await lost(span.spanContext().spanId);
				await tracer.startActiveSpan('work', async (inner) => {
					await null;
					inner.setStatus({ code: SpanStatusCode.ERROR });
					inner.end();
				});
				span.end();
				const headers = {};
				propagation.inject(trace.setSpan(context.active(), span), headers);
				return Response.json(names, { headers });
			}),
		);
	},
};

// Types for programs that tenantd runs: `tenantctl types > tenantd.d.ts`.
//
// On top of the standard's own, which a program chooses in its tsconfig.json:
//
//     { "compilerOptions": { "lib": ["esnext", "webworker"], "types": [], "strict": true } }
//
// With @types/node beside it ("types": ["node"]) a program has Node's modules, too.
//
//     import type { Service } from 'tenantd';
//     export default { fetch: (request) => new Response('hello') } satisfies Service;

/** The environment that the policy grants: env.pass, env.set and env.secrets. */
interface TenantdEnv {
	readonly [name: string]: string | undefined;
}

/** What every function of a service gets as its last argument. */
interface TenantdContext {
	/** Keeps the work of PROMISE alive: past the response, and past the order to stop. */
	waitUntil(promise: unknown): void;
	/** With "ready": "signal" in tenant.json: from now on connections may come. */
	ready(): void;
	/** The entry of net.listen that the client connected to. */
	readonly listener: { readonly name: string; readonly address: string } | undefined;
}

/** A run of one of the schedules of tenant.json. */
interface TenantdScheduledEvent {
	readonly type: 'scheduled';
	/** The expression of tenant.json. */
	readonly cron: string;
	/** When it was due, in milliseconds since 1970. */
	readonly scheduledTime: number;
	/** How many runs before it were missed. */
	readonly missed: number;
}

/** The event `shutdown` of the global, after the last answer. */
interface TenantdShutdownEvent extends Event {
	waitUntil(promise: unknown): void;
}

/** The default export of a service. ENV: the names that its policy grants, if they are known. */
interface TenantdService<Env = TenantdEnv> {
	/** Once, before any request is let in. If it fails, the start has failed. */
	start?(env: Env, ctx: TenantdContext): unknown;
	/** For each request. */
	fetch?(request: Request, env: Env, ctx: TenantdContext): Response | PromiseLike<Response>;
	/** For each `health` probe: false, or an exception, means ill. */
	health?(env: Env, ctx: TenantdContext): unknown;
	/** When one of the `schedules` of tenant.json is due. */
	scheduled?(event: TenantdScheduledEvent, env: Env, ctx: TenantdContext): unknown;
	/** When it is told to stop, after its last answer. */
	shutdown?(env: Env, ctx: TenantdContext): unknown;
}

/** What the policy grants, as process.permission names it. */
type TenantdPermission =
	| 'fs' | 'fs.read' | 'fs.write' | 'net' | 'net.connect' | 'net.listen' | 'child' | 'env'
	| 'eval' | 'wasm' | 'jit' | (string & {});

/** `process.permission`. */
interface TenantdPermissions {
	/** Whether SCOPE is granted, for RESOURCE where there is one. */
	has(scope: TenantdPermission, resource?: string): boolean;
	/** Gives it up, for good. */
	drop(scope: TenantdPermission, resource?: string): void;
}

declare module 'tenantd' {
	export type Env = TenantdEnv;
	export type Context = TenantdContext;
	export type ScheduledEvent = TenantdScheduledEvent;
	export type ShutdownEvent = TenantdShutdownEvent;
	export type Permissions = TenantdPermissions;
	export type Service<E = TenantdEnv> = TenantdService<E>;
}

/** For programs that have no ctx: the same functions. */
declare module 'tenantd:lifecycle' {
	export function ready(): void;
	export function waitUntil(promise: unknown): void;
}

/** `import text from './page.html' with { type: 'text' }` and files of the release like it. */
declare module '*.txt' {
	const text: string;
	export default text;
}
declare module '*.html' {
	const text: string;
	export default text;
}
declare module '*.sql' {
	const text: string;
	export default text;
}

/** Each export of the module is its own: name them where it is imported. */
declare module '*.wasm' {
	const exports: { readonly [name: string]: any };
	export = exports;
}

interface ImportMeta {
	url: string;
	filename: string;
	dirname: string;
	main: boolean;
	resolve(specifier: string): string;
}

interface WorkerGlobalScopeEventMap {
	shutdown: TenantdShutdownEvent;
}

interface RequestInit {
	/** Over a unix socket that the policy grants. */
	unix?: string;
}

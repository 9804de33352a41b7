// zod: what comes in is checked; the answer says what is wrong and where.
import * as z from 'zod';

const Order = z
	.object({
		id: z.uuid(),
		email: z.email().transform((text) => text.toLowerCase()),
		lines: z.array(z.object({ sku: z.string().regex(/^[A-Z]{3}-\d+$/), count: z.int().positive() })).min(1),
		due: z.iso.datetime().pipe(z.coerce.date()),
		kind: z.discriminatedUnion('type', [
			z.object({ type: z.literal('gift'), from: z.string() }),
			z.object({ type: z.literal('plain') }),
		]),
		note: z.string().trim().optional(),
	})
	.refine((order) => order.lines.length < 100, 'too many lines');
type Order = z.infer<typeof Order>;

export default {
	async fetch(request: Request) {
		if (request.method === 'GET') return Response.json(z.toJSONSchema(Order.shape.lines));
		const result = await Order.safeParseAsync(await request.json());
		if (!result.success)
			return Response.json(result.error.issues.map(({ path, code }) => `${path.join('.')}: ${code}`), { status: 400 });
		const order: Order = result.data;
		return Response.json({ ...order, year: order.due.getUTCFullYear() });
	},
};

local items = {}
for i = 1, 21 do items[i] = string.format('{"id":%d,"name":"item number %d","price":%d}', i, i, i * 10) end
wrk.method = "POST"
wrk.body = '{"items":[' .. table.concat(items, ",") .. ']}'
wrk.headers["content-type"] = "application/json"

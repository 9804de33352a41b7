for i = 0, 19 do wrk.headers["x-header-" .. i] = "value of header number " .. i end
wrk.path = "/headers"

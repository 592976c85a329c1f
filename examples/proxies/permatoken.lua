-- Asks the portal about the token of a request, for haproxy.cfg beside this.

local VERIFY = "http://127.0.0.1:8000/iam/auth/verify?"
local MILLISECONDS = 1000    -- HAProxy 2.6 tries four times

local WHOSE = {
    "x-auth-token-id", "x-auth-account-id", "x-auth-user-id", "x-auth-user-email", "x-auth-role",
    "x-auth-scopes",
}

local function first(headers, name)
    local values = headers and headers[name]
    return values and (values[0] or values[1]) or ""
end

core.register_action("permatoken", { "http-req" }, function(txn)
    local headers = {
        ["host"] = { "localhost" },
        ["x-forwarded-for"] = { txn.f:src() },
        ["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" },
    }
    local authorization = txn.http:req_get_headers()["authorization"]
    if authorization then
        headers["authorization"] = { authorization[0] }
    end

    local answer = core.httpclient():get{
        url = VERIFY .. txn:get_var("txn.needed"), headers = headers, timeout = MILLISECONDS,
    }
    if not answer or not answer.status then
        return
    end
    txn:set_var("txn.body", answer.body or "")
    txn:set_var("txn.challenge", first(answer.headers, "www-authenticate"))
    txn:set_var("txn.why", first(answer.headers, "x-auth-error"))
    txn:set_var("txn.retry_after", first(answer.headers, "retry-after"))
    if answer.status == 200 then
        for _, name in ipairs(WHOSE) do
            txn.http:req_set_header(name, first(answer.headers, name))
        end
    end
    txn:set_var("txn.status", answer.status)
end, 0)

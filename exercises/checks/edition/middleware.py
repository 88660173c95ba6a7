"""The order of the layers, who is let in, and what a crash becomes."""

from course.exercises import expect, require


def noting(name: str, trace: list[str]):
    """A layer that notes when it is passed, inwards and outwards."""

    def layer(request, call_next):
        trace.append(f"{name} in")
        response = call_next(request)
        trace.append(f"{name} out")
        return response

    return layer


def check_no_layers(their):
    """Without layers it is the handler"""
    handler = their.wrap(lambda request: their.Response(200, request.path), [])
    expect(handler(their.Request("/tea")), their.Response(200, "/tea"))


def check_order(their):
    """In from outside, out from inside"""
    trace: list[str] = []

    def core(request):
        trace.append("handler")
        return their.Response(200)

    layers = [noting("outer", trace), noting("middle", trace), noting("inner", trace)]
    handler = their.wrap(core, layers)
    handler(their.Request("/"))
    wanted = [
        "outer in",
        "middle in",
        "inner in",
        "handler",
        "inner out",
        "middle out",
        "outer out",
    ]
    expect(
        trace,
        wanted,
        "If only one of them is there several times: a function made in a loop sees the loop's "
        "last value. Make it in a function of its own.",
    )
    handler(their.Request("/"))
    expect(trace, wanted * 2, "The same handler can be called again.")


def check_keys(their):
    """Only those with a key come in"""
    called: list[str] = []

    def core(request):
        called.append(request.path)
        return their.Response(200, "welcome")

    handler = their.wrap(core, [their.keys_required({"k1", "k2"})])
    expect(handler(their.Request("/a", {"x-api-key": "k2"})), their.Response(200, "welcome"))
    for headers in ({}, {"x-api-key": "k3"}, {"x-api-key": ""}):
        expect(handler(their.Request("/b", headers)).status, 401, f"headers {headers}")
    expect(called, ["/a"], "Who isn't let in must not reach the handler.")


def check_crash(their):
    """A crash becomes a 500, and the secret stays inside"""
    logged: list[Exception] = []

    def core(request):
        raise ZeroDivisionError("the secret is 42")

    trace: list[str] = []
    layers = [noting("outer", trace), their.crashes_become_500(logged.append)]
    response = their.wrap(core, layers)(their.Request("/"))
    expect(response, their.Response(500, "internal error"))
    expect([str(error) for error in logged], ["the secret is 42"], "The log gets the error.")
    require(trace == ["outer in", "outer out"], "the layers outside didn't see a response")

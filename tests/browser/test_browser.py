"""The browser harness itself: starting, serving, arrays in both directions, and time limits.

Also what the backends need of a browser: relaxed SIMD, a WebGPU adapter, float render targets.
"""

from __future__ import annotations

import asyncio
import builtins
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from webconv.verify.browser import (
    Browser,
    BrowserError,
    BrowserTimeoutError,
    NoBrowserError,
    ScriptError,
    candidates,
    find_browser,
)
from webconv.verify.page import INLINE, Page
from webconv.verify.server import Reply, Server
from webconv.verify.transfer import DTYPES

STRICT = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    "worker-src 'self'"
)

# (module (func (param v128 v128 v128) (result v128) local.get 0..2 f32x4.relaxed_madd))
RELAXED_MADD = bytes.fromhex(
    "0061736d01000000 0108 0160037b7b7b017b 03020100 0a0d 010b 00 2000 2001 2002 fd8502 0b"
)

WGSL_DOUBLE = """async (values) => {
  const device = await (await navigator.gpu.requestAdapter()).requestDevice();
  const code = `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < arrayLength(&x)) { x[id.x] = 2 * x[id.x]; }
    }`;
  const module = device.createShaderModule({ code });
  const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const size = values.byteLength;
  const buffer = device.createBuffer({ size, usage });
  const back = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | 8 });
  device.queue.writeBuffer(buffer, 0, values);
  const layout = pipeline.getBindGroupLayout(0);
  const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(Math.ceil(values.length / 64));
  pass.end();
  encoder.copyBufferToBuffer(buffer, 0, back, 0, size);
  device.queue.submit([encoder.finish()]);
  await back.mapAsync(GPUMapMode.READ);
  return new Float32Array(back.getMappedRange().slice(0));
}"""

GLSL_CLEAR = """(values) => {
  const gl = document.createElement('canvas').getContext('webgl2');
  if (!gl.getExtension('EXT_color_buffer_float')) return null;
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, 1, 1);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  const texture = gl.getParameter(gl.TEXTURE_BINDING_2D);
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
  if (gl.checkFramebufferStatus(gl.FRAMEBUFFER) !== gl.FRAMEBUFFER_COMPLETE) return null;
  gl.clearBufferfv(gl.COLOR, 0, values);
  const out = new Float32Array(4);
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.FLOAT, out);
  return out;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for this file; its absence skips, and says why."""
    try:
        with Browser(timeout=30) as started:
            yield started
    except NoBrowserError as error:
        pytest.skip(f"no browser: {error}")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of its own."""
    with browser.page() as opened:
        yield opened


class TestCapabilities:
    """What the backends need, computed and not just asked for."""

    def test_attempt_names_version_and_adapters(self, browser: Browser) -> None:
        working = browser.attempts[-1]
        assert working.reason is None
        assert browser.version.startswith("Chromium ")
        assert all((working.webgpu, working.webgl2, working.features))

    def test_relaxed_simd_validates(self, page: Page) -> None:
        assert page.evaluate("(bytes) => WebAssembly.validate(bytes)", RELAXED_MADD) is True
        unknown = RELAXED_MADD.replace(b"\xfd\x85\x02", b"\xfd\xff\x02")
        assert page.evaluate("(bytes) => WebAssembly.validate(bytes)", unknown) is False

    def test_webgpu_computes(self, page: Page) -> None:
        values = np.linspace(-3, 3, 1000, dtype=np.float32)
        np.testing.assert_array_equal(page.evaluate(WGSL_DOUBLE, values), 2 * values)

    def test_webgl2_renders_to_floats(self, page: Page) -> None:
        values = np.array([1e30, -1e-30, 0.1, 65504.5], np.float32)
        np.testing.assert_array_equal(page.evaluate(GLSL_CLEAR, values), values)


class TestTransfer:
    """Values and arrays to a page and back."""

    @pytest.mark.parametrize(
        "dtype",
        sorted(DTYPES),
    )
    def test_every_dtype_comes_back(self, page: Page, dtype: str) -> None:
        limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
        values = np.array([limits.min, 0, 1, limits.max], dtype)
        back = page.evaluate("(x) => x", values)
        assert back.dtype == values.dtype
        np.testing.assert_array_equal(back, values)

    @pytest.mark.parametrize("count", [0, 1, INLINE // 4 - 40, INLINE // 4, 3_000_000])
    def test_every_size_comes_back(self, page: Page, count: int) -> None:
        values = np.random.default_rng(count).standard_normal(count, np.float32)
        np.testing.assert_array_equal(page.evaluate("(x) => x", values), values)

    def test_small_in_large_out_and_back(self, page: Page) -> None:
        assert page.evaluate("(n) => new Uint8Array(n).fill(7)", 1 << 20).sum() == 7 << 20
        assert page.evaluate("(x) => x.length", np.zeros(1 << 20)) == 1 << 20

    def test_values_nest(self, page: Page) -> None:
        sent = {"a": [1, 2.5, None, True], "text": "\u2028 </script> é", "x": np.array([[1], [2]])}
        back = page.evaluate("(v) => [v, v.x.length]", sent)
        np.testing.assert_array_equal(back[0].pop("x"), [1, 2])
        assert back == [{"a": [1, 2.5, None, True], "text": "\u2028 </script> é"}, 2]

    def test_hostile_keys_stay_keys(self, page: Page) -> None:
        sent = {"__proto__": np.array([1.5]), "constructor": 2}
        back = page.evaluate("(v) => [Object.keys(v), v]", sent)
        assert back[0] == ["__proto__", "constructor"]
        assert back[1]["__proto__"].tolist() == [1.5]

    def test_non_finite_numbers(self, page: Page) -> None:
        sent = [float("nan"), float("inf"), np.float32("-inf")]
        assert page.evaluate("(v) => v.map(String)", sent) == ["NaN", "Infinity", "-Infinity"]
        np.testing.assert_array_equal(page.evaluate("(v) => v", sent), sent)

    def test_bool_and_strided_arrays(self, page: Page) -> None:
        assert page.evaluate("(x) => x", np.array([True, False])).tolist() == [1, 0]
        assert page.evaluate("(x) => x", np.arange(6)[::-2]).tolist() == [5, 3, 1]

    def test_shared_memory_views(self, page: Page) -> None:
        script = "() => new Int32Array(new WebAssembly.Memory({ initial: 1 }).buffer, 8, 2).fill(3)"
        assert page.evaluate(script).tolist() == [3, 3]

    @pytest.mark.parametrize("value", [np.array(["x"]), np.complex64(1), {1, 2}])
    def test_what_a_page_cannot_take(self, page: Page, value: object) -> None:
        with pytest.raises(TypeError, match="a page"):
            page.evaluate("(x) => x", value)


class TestErrors:
    """What goes wrong is raised, with its text, and in time."""

    def test_exception_keeps_name_message_and_code(self, page: Page) -> None:
        script = "async () => { throw Object.assign(new TypeError('no'), { code: 'dtype' }); }"
        with pytest.raises(ScriptError) as caught:
            page.evaluate(script)
        error = caught.value
        assert (error.name, error.text, error.code) == ("TypeError", "no", "dtype")
        assert "TypeError: no" in error.stack

    def test_syntax_error(self, page: Page) -> None:
        with pytest.raises(BrowserError, match="SyntaxError"):
            page.evaluate("() => {{ nonsense")

    def test_promise_that_never_settles(self, page: Page) -> None:
        with pytest.raises(BrowserTimeoutError, match=r"took longer than 0\.5 s"):
            page.evaluate("() => new Promise(() => {})", timeout=0.5)
        assert page.evaluate("() => 1") == 1

    def test_endless_loop(self, browser: Browser) -> None:
        page = browser.page()
        start = time.monotonic()
        with pytest.raises(BrowserTimeoutError):
            page.evaluate("() => { for (;;); }", timeout=0.5)
        page.close()
        assert time.monotonic() - start < 10
        with browser.page() as other:
            assert other.evaluate("() => 1") == 1

    def test_console_and_page_errors(self, page: Page) -> None:
        page.evaluate("() => { console.log('fine'); console.error('bad'); }")
        page.evaluate("() => setTimeout(() => { throw new Error('uncaught'); })")
        page.evaluate("async () => { await fetch('/nowhere'); }")
        page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
        assert ("log", "fine") in [(entry.kind, entry.text) for entry in page.console]
        assert all(any(text in line for line in page.errors) for text in ("bad", "uncaught", "404"))

    def test_a_page_that_does_not_exist(self, browser: Browser) -> None:
        with pytest.raises(BrowserError, match="ERR_NAME_NOT_RESOLVED"):
            browser.page("http://example.com/")

    def test_nothing_else_is_reached(self, page: Page) -> None:
        with pytest.raises(ScriptError, match="Failed to fetch"):
            page.evaluate("() => fetch('http://192.0.2.1/', { mode: 'no-cors' })", timeout=20)


class TestServing:
    """Mounts and their headers."""

    def test_types_of_files(self, browser: Browser, tmp_path: Path) -> None:
        for name in ("a.js", "b.wasm", "weights-0.bin", "c.html", "d.mjs"):
            (tmp_path / name).write_bytes(b"x")
        url = browser.mount(tmp_path)
        got = [
            fetch(url + name).headers["Content-Type"]
            for name in sorted(file.name for file in tmp_path.iterdir())
        ]
        assert [text.split(";")[0] for text in got] == [
            "text/javascript",
            "application/wasm",
            "text/html",
            "text/javascript",
            "application/octet-stream",
        ]

    def test_sources_in_order(self, browser: Browser, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("folder")
        (tmp_path / "b.txt").write_text("folder")

        def late(path: str) -> Reply | None:
            return Reply(b"late", 418, {"X-From": "late"}) if path == "c.txt" else None

        url = browser.mount({"a.txt": b"memory"}, tmp_path, late, headers={"X-From": "mount"})
        assert fetch(url + "a.txt").read() == b"memory"
        assert fetch(url + "b.txt").read() == b"folder"
        assert fetch(url + "b.txt").headers["X-From"] == "mount"
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(url + "c.txt")
        assert (caught.value.code, caught.value.headers["X-From"]) == (418, "late")
        caught.value.close()

    def test_nothing_outside_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "secret.txt").write_text("secret")
        (tmp_path / "public").mkdir()
        (tmp_path / "public" / "link.txt").symlink_to(tmp_path / "secret.txt")
        with Server() as server:
            url = server.mount("public", tmp_path / "public")
            for path in ("../secret.txt", "%2e%2e/secret.txt", "link.txt", "/etc/passwd", "."):
                with pytest.raises(urllib.error.HTTPError) as caught:
                    fetch(url + path)
                assert caught.value.code == 404
                caught.value.close()

    def test_page_under_a_strict_policy(self, browser: Browser) -> None:
        files = {"index.html": b"<!doctype html><script src=a.js></script>", "a.js": b"var a = 1;"}
        with browser.page(browser.mount(files, csp=STRICT)) as page:
            assert page.evaluate("() => a") == 1
            assert page.evaluate("(x) => x", np.zeros(INLINE)).size == INLINE
            assert page.errors == []
            with pytest.raises(ScriptError, match="unsafe-eval"):
                page.evaluate("() => new Function('return 1')()")

    def test_isolation_is_chosen(self, browser: Browser) -> None:
        for isolated in (False, True):
            url = browser.mount({"index.html": b"<!doctype html>"}, isolated=isolated)
            with browser.page(url) as page:
                assert page.evaluate("() => crossOriginIsolated") is isolated

    def test_visits_are_listed(self, browser: Browser) -> None:
        url = browser.mount({"x.bin": b"1234"}, prefix="visits")
        fetch(url + "x.bin").read()
        assert [(v.status, v.size) for v in browser.server.visits if v.path == "/visits/x.bin"] == [
            (200, 4)
        ]
        browser.server.unmount(url)
        with pytest.raises(urllib.error.HTTPError) as caught:
            fetch(url + "x.bin")
        caught.value.close()


class TestPages:
    """Several pages, threads and browsers at once."""

    def test_pages_share_nothing(self, browser: Browser) -> None:
        with browser.page() as one, browser.page() as two:
            one.evaluate("() => { localStorage.setItem('a', '1'); }")
            assert two.evaluate("() => localStorage.getItem('a')") is None

    def test_threads(self, browser: Browser) -> None:
        def work(number: int) -> int:
            with browser.page() as page:
                return int(page.evaluate("(x) => Number(x[0]) * 2", np.array([number])))

        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(work, range(6))) == [0, 2, 4, 6, 8, 10]

    def test_inside_asyncio(self, page: Page) -> None:
        async def inside() -> Any:
            return page.evaluate("() => 3")

        assert asyncio.run(inside()) == 3

    def test_actions_and_screenshot(self, browser: Browser, tmp_path: Path) -> None:
        html = b"<!doctype html><input id=i><button onclick='o.textContent=i.value'>go</button>"
        with browser.page(browser.mount({"index.html": html + b"<p id=o>"})) as page:
            page.call(lambda p: p.fill("#i", "hello"))
            page.call(lambda p: p.click("button"))
            page.wait_for("o.textContent === 'hello'")
            assert page.text("#o") == "hello"
            page.screenshot(tmp_path / "shots" / "page.png")
        assert (tmp_path / "shots" / "page.png").read_bytes().startswith(b"\x89PNG")


class TestFinding:
    """Which browsers are tried, and what is said when none will do."""

    def test_a_named_browser_is_the_only_one(self) -> None:
        (only,) = candidates({"WEBCONV_CHROMIUM": "/opt/some/chrome"})
        assert only.program == "/opt/some/chrome"

    def test_order(self) -> None:
        names = [candidate.channel or candidate.program for candidate in candidates({})]
        assert (names[0], names[-1]) == ("chromium", "chrome")
        assert len(names) == len(set(names))

    def test_missing_program(self) -> None:
        (attempt,) = find_browser({"WEBCONV_CHROMIUM": "/nowhere/chrome"})
        assert "doesn't exist at /nowhere/chrome" in str(attempt.reason)

    def test_stub_that_ends_at_once(self, tmp_path: Path) -> None:
        stub = tmp_path / "chromium"
        stub.write_text("#!/bin/sh\necho warning >&2\necho 'needs the snap' >&2\nexit 10\n")
        stub.chmod(0o755)
        environ = {"WEBCONV_CHROMIUM": str(stub)}
        (attempt,) = find_browser(environ)
        assert attempt.reason == "it ended at once, exit code 10: needs the snap"
        with pytest.raises(NoBrowserError, match="no usable Chromium") as caught:
            Browser(environ=environ).__enter__()
        assert "\n" not in str(caught.value)
        assert caught.value.attempts == (attempt,)

    def test_browser_without_adapter_does_not_count(self, browser: Browser) -> None:
        program = browser.attempts[-1].candidate.program
        if program is None:
            pytest.skip("the browser here is a channel of Playwright, not a program")
        blind = Browser(environ={"WEBCONV_CHROMIUM": program}, extra_flags=["--disable-gpu"])
        blind._flags = tuple(flag for flag in blind._flags if "webgpu" not in flag)
        with pytest.raises(BrowserError, match="no WebGPU adapter"):
            blind.__enter__()

    def test_missing_playwright(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = builtins.__import__

        def refuse(name: str, *args: Any, **keywords: Any) -> Any:
            if name.startswith("playwright"):
                raise ImportError(name)
            return original(name, *args, **keywords)

        monkeypatch.setattr(builtins, "__import__", refuse)
        with pytest.raises(BrowserError, match=r"pip install 'webconv\[verify\]'"):
            Browser().__enter__()

    def test_closing_twice(self) -> None:
        closed = Browser()
        closed.close()
        closed.close()


def fetch(url: str) -> Any:
    """GET a URL, past any proxy of the environment."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(url, timeout=10)

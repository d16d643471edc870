"""The UI and the reports in a browser: what people must see, and what other sites must not reach."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.export.reports import write_state_report
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline_tests.conftest import CHECKOUT, EXACTING, variables

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

WAIT = 15_000


@pytest.fixture(scope="module")
def project(tmp_path_factory, backfilled):
    """A built project with a failed check of Rhode Island's targets and a run without a survey file."""
    folder = tmp_path_factory.mktemp("ui") / "project"
    shutil.copytree(backfilled.folder, folder)
    survey = folder / "data" / "cps_tax_units.parquet"
    with dg.DagsterInstance.from_config(str(folder / "home")) as instance:

        def run(job, key, **selection):
            settings = Settings(
                warehouse=folder / "w.duckdb", data=folder / "data", parameters=EXACTING
            )
            return (
                build_definitions(settings)
                .resolve_job_def(job)
                .execute_in_process(
                    instance=instance, partition_key=key, raise_on_error=False, **selection
                )
            )

        checked = run("recalibrate", "RI|2014", asset_selection=[dg.AssetKey("target_report")])
        failed = [e.check_name for e in checked.get_asset_check_evaluations() if not e.passed]
        assert "targets_met" in failed
        survey.unlink()
        assert not run("build_state", "DE|2014").success
    return folder


@pytest.fixture(scope="module")
def ui(project):
    """The UI's address and its process group, which is always killed in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, **variables(project), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "microplex_pipeline", "ui", "--port", str(port)]
    with (project / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while "microplex_pipeline" not in _locations(address):
            assert process.poll() is None, (project / "ui.log").read_text()
            assert time.monotonic() < deadline, (project / "ui.log").read_text()
            time.sleep(0.3)
        yield address, process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _locations(address):
    try:
        return json.dumps(graphql(address, "{repositoriesOrError{... on RepositoryConnection{nodes"
                                  "{location{name}}}}}"))  # fmt: skip
    except OSError:
        return ""


def graphql(address, query, **variables):
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        result = json.load(answer)
    assert "errors" not in result, result
    return result["data"]


@pytest.fixture(scope="module")
def browser(project):
    del project  # its runs must come first: their event loops and the driver's do not mix
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page that must cause no error in the browser's console."""
    context = browser.new_context(viewport={"width": 1500, "height": 1100})
    page, errors = context.new_page(), []
    page.on("console", lambda m: m.type == "error" and errors.append(m.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(WAIT)
    yield page
    context.close()
    assert errors == []


def sees(page, *texts):
    for text in texts:
        playwright.expect(page.get_by_text(text).first).to_be_visible(timeout=WAIT)


def test_the_graph_shows_every_group(page, ui):
    page.goto(f"{ui[0]}/asset-groups")
    sees(page, "survey", "models", "synthesis", "calibration", "evaluation")


def test_an_asset_and_its_columns_are_described(page, ui):
    page.goto(f"{ui[0]}/assets/calibrated_population?view=overview")
    sees(page, "weighted so that the state's totals are met", "age_head", "DuckDB")
    sees(page, "number of units in the population that the record represents")


def test_a_partition_shows_its_number_of_rows_and_a_chart_of_weights(page, ui):
    page.goto(f"{ui[0]}/assets/calibrated_population?view=partitions&partition=RI%7C2014")
    sees(page, "RI|2014", "Materialized (2)", "dagster/partition_row_count", "design_effect")
    page.get_by_text("[Show Markdown]").first.click()
    picture = page.locator("img[alt=weights]")
    playwright.expect(picture).to_be_visible(timeout=WAIT)
    assert picture.evaluate("image => image.naturalWidth") > 400


def test_the_worst_targets_are_shown_as_a_table(page, ui):
    page.goto(f"{ui[0]}/assets/target_report?view=partitions&partition=RI%7C2014")
    sees(page, "worst_targets", "in_words", "achieved", "target_fit", "evaluation.target_report")


def test_a_failed_check_says_what_to_do(page, ui):
    page.goto(f"{ui[0]}/assets/target_report?view=checks")
    page.get_by_text("Execution history").click()
    sees(page, "Failed", "Run the job recalibrate on this partition")


def test_the_command_that_opens_a_report_is_shown(page, ui):
    page.goto(f"{ui[0]}/assets/state_report?view=partitions&partition=RI%7C2014")
    sees(page, "microplex report RI 2014")


def test_a_report_needs_no_network(browser, project):
    report = write_state_report(project / "w.duckdb", project / "pages", Partition("RI", 2014))
    context = browser.new_context(offline=True)
    page, errors, asked = context.new_page(), [], []
    page.on("console", lambda m: m.type in ("error", "warning") and errors.append(m.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    sees(page, "Rhode Island 2014", "Input data", "Provenance")
    boxes = page.locator("svg").evaluate_all(
        "all => all.map(s => s.getBoundingClientRect().width)"
    )
    assert len(boxes) >= 12
    assert min(boxes) > 50
    context.close()
    assert errors == []
    assert asked == [report.as_uri()]


def test_a_printed_report_unfolds_its_parts_and_keeps_its_keys(browser, project):
    report = write_state_report(project / "w.duckdb", project / "pages", Partition("RI", 2014))
    page = browser.new_page(color_scheme="dark")
    page.goto(report.as_uri())
    parts = page.locator("details > :not(summary)")
    shown = "all => all.map(part => part.checkVisibility())"
    assert not any(parts.evaluate_all(shown))
    page.emulate_media(media="print", color_scheme="dark")
    assert len(parts.evaluate_all(shown)) > 1
    assert all(parts.evaluate_all(shown))
    key = page.locator(".key.survey").evaluate("e => getComputedStyle(e).printColorAdjust")
    assert key == "exact"
    paper, ink = page.locator("body").evaluate(
        "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]"
    )
    assert (paper, ink) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    page.close()


def test_nothing_listens_beyond_this_computer(ui):
    listening = _listening_addresses(ui[1])
    assert listening == {"127.0.0.1"}


def asked(address, path="/graphql", method="POST", **headers):
    """Return the status of the answer to a query with the given headers."""
    body = json.dumps({"query": "{version}"}).encode() if method == "POST" else None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(
        address + path, body, {"Content-Type": "application/json", **named}, method=method
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1"}, 200),  # through a tunnel
        ({"Host": "elsewhere.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "["}, 403),
        ({"Host": "localhost?elsewhere"}, 403),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),  # another port of this computer
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"method": "GET", "path": "/graphql?query=%7Bversion%7D"}, 403),
    ],
)
def test_only_requests_from_its_own_pages_and_from_programs_are_accepted(ui, request_, status):
    assert asked(ui[0], **request_) == status


def test_a_page_of_another_site_can_start_nothing(browser, ui, tmp_path):
    address, _ = ui
    script = f"""
        const wanted = "mutation {{ wipeAssets(assetPartitionRanges: []) {{ __typename }} }}";
        const link = "{address}/graphql?query=" + encodeURIComponent(wanted);
        await fetch(link, {{mode: "no-cors"}});
        await fetch(link, {{mode: "no-cors", method: "POST"}});
        return await new Promise(done => {{
            const socket = new WebSocket("{address.replace("http", "ws")}/graphql", "graphql-ws");
            socket.onopen = () => done("open");
            socket.onerror = () => done("refused");
        }});
    """
    context = browser.new_context()
    page, statuses = context.new_page(), []
    page.on("response", lambda answer: statuses.append(answer.status))
    (tmp_path / "other.html").write_text("<p>another site</p>")
    page.goto((tmp_path / "other.html").as_uri())
    assert page.evaluate(f"async () => {{ {script} }}") == "refused"
    assert statuses[-2:] == [403, 403]
    followed = page.goto(f"{address}/overview")  # as a link that a person follows
    assert followed is not None
    assert followed.status == 200
    context.close()


def test_one_code_server_serves_the_webserver_and_the_daemon(ui):
    commands = [" ".join(words) for words in _commands(ui[1])]
    assert len([command for command in commands if "api grpc" in command]) == 1
    assert len([command for command in commands if "dagster-daemon run" in command]) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_daemon_and_the_code_server_end_with_the_ui(backfilled, tmp_path, number):
    environment = {**os.environ, **variables(backfilled.folder), "PYTHONPATH": str(CHECKOUT)}
    home = tmp_path / "a new home #1 é"
    home.mkdir()
    shutil.copyfile(CHECKOUT / "dagster.yaml", home / "dagster.yaml")
    command = [sys.executable, "-m", "microplex_pipeline", "ui", "--port", "0"]
    with subprocess.Popen(
        command,
        env={
            **environment,
            "DAGSTER_HOME": str(home),
            "MICROPLEX_INCOMING": str(tmp_path / "incoming"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            started = next(line for line in process.stdout if "Ctrl-C ends it" in line)
            deadline = time.monotonic() + 60
            while "microplex_pipeline" not in _locations(started.split()[0]):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert len(_commands(process.pid)) == 3
            process.send_signal(number)
            deadline = time.monotonic() + 20
            while left := _commands(process.pid):
                assert time.monotonic() < deadline, left
                time.sleep(0.2)
            assert process.wait() == (0 if number == signal.SIGTERM else -number)
            assert process.stderr.read() == ""
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _commands(group):
    """Return the commands of a process group, without those that have ended (from Linux's /proc)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                found.append((process / "cmdline").read_text().split("\0"))
        except (ProcessLookupError, FileNotFoundError):
            continue  # ended in the meantime
    return [words for words in found if words != [""]]


def _listening_addresses(group):
    """Return the addresses on which a process group accepts connections (from Linux's /proc)."""
    ours = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                ours |= {str(link.readlink()) for link in (process / "fd").iterdir()}
        except (ProcessLookupError, FileNotFoundError):
            continue  # ended in the meantime
    found = set()
    for table, kind in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in (Path("/proc/net") / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in ours:
                words = bytes.fromhex(fields[1].split(":")[0])
                address = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
                found.add(socket.inet_ntop(kind, address))
    return found


ENTRIES = """{label description ... on TextMetadataEntry{text} ... on JsonMetadataEntry{jsonString}
    ... on MarkdownMetadataEntry{mdStr} ... on PathMetadataEntry{path} ... on UrlMetadataEntry{url}}"""
EVENTS = f"""query($run: ID!) {{ logsForRun(runId: $run) {{ ... on EventConnection {{ events {{
    ... on MessageEvent {{ message }} ... on ErrorEvent {{ error {{ message cause {{ message }} }} }}
    ... on MaterializationEvent {{ metadataEntries {ENTRIES} }}
    ... on AssetCheckEvaluationEvent {{ evaluation {{ description metadataEntries {ENTRIES} }} }}
}} }} }} }}"""
RESOURCES = """{allTopLevelResourceDetailsOrError(repositorySelector: {repositoryName: "__repository__",
    repositoryLocationName: "microplex_pipeline"}) {... on ResourceDetailsList {results {name description
    configFields {name} configuredValues {key value}}}}}"""


def test_no_local_path_is_shown(ui, project):
    address, _ = ui
    runs = graphql(
        address, "{runsOrError{... on Runs{results{runId status runConfigYaml tags{key value}}}}}"
    )["runsOrError"]["results"]
    assert {run["status"] for run in runs} == {"FAILURE", "SUCCESS"}
    events = [graphql(address, EVENTS, run=run["runId"]) for run in runs]
    resources = graphql(address, RESOURCES)
    assert "survey file cps_tax_units.parquet is not in the data folder" in json.dumps(events)
    assert not any(
        resource["configFields"]
        for resource in resources["allTopLevelResourceDetailsOrError"]["results"]
    )
    shown = json.dumps([runs, events, resources])
    shown = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", shown)
    for path in (project, CHECKOUT, Path.home(), Path(sys.prefix)):
        assert str(path) not in shown

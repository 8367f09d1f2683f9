"""Where trained models are kept: MLflow versions with figures and a card, and the alias `champion` for the one in use.

A model trained twice on the same day with the same parameters and the same figures is the same model: the second run returns
the first one's version, so a rerun of a training job leaves the registry, and the tables that name model versions, as they were.
Nothing here touches MLflow's global state (active run, tracking URI); every call goes through a client of its own.
"""

import atexit
import hashlib
import json
import logging
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame

from promoloop.errors import UserError
from promoloop.settings import Settings

CHAMPION = "champion"
_CARD = "card.json"
_DOCUMENT = "document.json"
_ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # of a model never registered; of one without the alias
_SERVERS = ("databricks", "databricks-uc", "http", "https", "postgresql", "mysql", "mssql")

Figures = Mapping[str, float]
Params = Mapping[str, str | int | float | bool]


def log_spark_model(
    settings: Settings,
    name: str,
    model: Any,
    figures: Figures,
    params: Params,
    inputs: DataFrame | None = None,
    card: Mapping[str, Any] | None = None,
) -> str:
    """Keep a fitted Spark ML model under `name`, make it the champion and return its version.

    `figures` are measures (holdout AUC and so on), `params` what it was trained with, `inputs` a frame whose schema is recorded as the
    model's signature (Unity Catalog refuses models without one), `card` whatever else a reader should see, as JSON.
    """

    def save(folder: Path) -> None:
        mlflow = _mlflow()
        signature = None
        if inputs is not None:
            signature = mlflow.models.infer_signature(inputs, model.transform(inputs).select("prediction"))
        # given requirements spare the minute MLflow takes to infer them
        mlflow.spark.save_model(
            model, str(folder), dfs_tmpdir=_shared(settings), signature=signature, pip_requirements=["pyspark", "mlflow"]
        )

    return _log(settings, name, save, figures, params, card or {})


def log_document(
    settings: Settings, name: str, document: Mapping[str, Any], figures: Figures, params: Params, card: Mapping[str, Any] | None = None
) -> str:
    """Keep a model that is a JSON document (coefficients, cut points) under `name`, make it the champion and return its version.

    Documents whose numbers agree to six digits are the same model.
    """

    def save(folder: Path) -> None:
        folder.mkdir()
        (folder / _DOCUMENT).write_text(json.dumps(document, sort_keys=True))

    content = hashlib.sha256(json.dumps(_rounded(document), sort_keys=True).encode()).hexdigest()
    return _log(settings, name, save, figures, {**params, "document": content}, card or {})


def load_spark_model(settings: Settings, name: str, trained_by: str) -> tuple[PipelineModel, str]:
    """The champion of `name` and its version. Raises UserError naming the job `trained_by` where there is none that as_of may know."""
    version = _champion(settings, name, trained_by)
    if _folder(settings) is not None:
        uri = f"{_client(settings).get_run(version.run_id).info.artifact_uri}/model"
    else:
        folder = tempfile.mkdtemp(prefix="promoloop-")  # until the process ends: some models (ALS) read their files late
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        uri = Path(_downloaded(settings, version, "model", folder)).as_uri()
    return _mlflow().spark.load_model(uri, dfs_tmpdir=_shared(settings)), str(version.version)


def load_document(settings: Settings, name: str, trained_by: str) -> tuple[dict[str, Any], str]:
    """The champion document of `name` and its version. Raises UserError as `load_spark_model`."""
    version = _champion(settings, name, trained_by)
    with tempfile.TemporaryDirectory() as folder:
        path = _downloaded(settings, version, f"model/{_DOCUMENT}", folder)
        return json.loads(Path(path).read_text()), str(version.version)


def version_in_use(settings: Settings, name: str, trained_by: str) -> str:
    """The version of the champion of `name`. Raises UserError as `load_spark_model`."""
    return str(_champion(settings, name, trained_by).version)


def cards(settings: Settings) -> list[dict[str, Any]]:
    """The card of every champion, by name: name, version, as_of, seed, params, figures and what its training added."""
    found = []
    for registered in _models(settings):
        if CHAMPION in registered.aliases:
            version = _client(settings).get_model_version_by_alias(registered.name, CHAMPION)
            with tempfile.TemporaryDirectory() as folder:
                path = _downloaded(settings, version, _CARD, folder)
                found.append({**json.loads(Path(path).read_text()), "version": str(version.version)})
    return sorted(found, key=lambda card: str(card["name"]))


def versions(settings: Settings) -> list[dict[str, str]]:
    """Every version of every model kept, in use or not: name, version, as_of (it has learned from what was before that day)."""
    found = []
    for version in _versions(settings):
        with tempfile.TemporaryDirectory() as folder:
            card = json.loads(Path(_downloaded(settings, version, _CARD, folder)).read_text())
            found.append({"name": card["name"], "version": str(version.version), "as_of": card["as_of"]})
    return found


def count_naming(settings: Settings, names: Collection[str]) -> int:
    """Versions with a file that contains any of `names`: none, as what is kept of a model is the size of items, not of users."""
    wanted, found = [name.encode() for name in names], 0
    for version in _versions(settings):
        with tempfile.TemporaryDirectory() as folder:
            files = [file for file in Path(_downloaded(settings, version, "", folder)).rglob("*") if file.is_file()]
            found += any(name in content for content in (file.read_bytes() for file in files) for name in wanted)
    return found


def copy(settings: Settings, into: Settings) -> None:
    """Begin the registry of `into` as it is here: the models there are are shared, new ones and the alias are the copy's alone.

    Of a local store; one on a server is not copied, and `into`, a folder, begins empty.
    """
    store, target = _store(settings), _folder(into)
    if store is None or target is None or not store.is_file():
        return
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(store, target / "mlflow.db")
    with closing(sqlite3.connect(target / "mlflow.db")) as copied, copied:  # or what is new would land beside the originals
        copied.execute("UPDATE experiments SET artifact_location = ?", ((target / "artifacts").as_uri(),))


def _models(settings: Settings) -> list[Any]:
    if _is_bare(settings):
        return []
    prefix = _registered(settings, "")
    return [model for model in _client(settings).search_registered_models(max_results=1000) if model.name.startswith(prefix)]


def _versions(settings: Settings) -> list[Any]:
    found = []
    for name in sorted(model.name for model in _models(settings)):
        found += sorted(_client(settings).search_model_versions(f"name = '{name}'"), key=lambda version: int(version.version))
    return found


def _log(settings: Settings, name: str, save: Any, figures: Figures, params: Params, card: Mapping[str, Any]) -> str:
    client, registered = _client(settings), _registered(settings, name)
    measured, day = {key: float(value) for key, value in figures.items()}, settings.run.as_of.isoformat()
    about = {
        "name": name,
        "as_of": day,
        "seed": settings.run.seed,
        "params": dict(params),
        "figures": measured,
    }
    fingerprint = hashlib.sha256(json.dumps({**about, "figures": _rounded(measured)}, sort_keys=True).encode()).hexdigest()
    version = _version_with(client, registered, fingerprint)
    if version is None:
        run = client.create_run(_experiment(client, settings, name), run_name=f"{name} {settings.run.run_id}")
        entities, now = _mlflow().entities, run.info.start_time
        metrics = [entities.Metric(key, value, now, 0) for key, value in measured.items()]
        client.log_batch(run.info.run_id, metrics, [entities.Param(key, str(value)) for key, value in params.items()])
        client.log_dict(run.info.run_id, {**card, **about}, _CARD)
        with tempfile.TemporaryDirectory() as folder:
            save(Path(folder) / "model")
            client.log_artifacts(run.info.run_id, str(Path(folder) / "model"), "model")
        source = f"{run.info.artifact_uri}/model"
        tags = {"fingerprint": fingerprint, "as_of": day}
        version = client.create_model_version(registered, source, run.info.run_id, tags=tags).version
        client.set_terminated(run.info.run_id)
    champion = _in_use(client, registered)
    if champion is None or _learned_before(champion) <= day:  # a day of the past, done again, takes nothing from those after it
        client.set_registered_model_alias(registered, CHAMPION, str(version))
    return str(version)


def _rounded(value: Any) -> Any:
    """Numbers, however deep, as texts of six digits: sums over partitions may differ in the last ones."""
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return f"{value:.6g}" if isinstance(value, float) else value


def _version_with(client: Any, registered: str, fingerprint: str) -> Any:
    """The version of the model that carries this fingerprint; registers the model's name where it is new."""
    try:
        client.get_registered_model(registered)
    except _mlflow().exceptions.MlflowException as error:
        if error.error_code not in _ABSENT:
            raise _refused(error) from error
        client.create_registered_model(registered)
        return None
    versions = client.search_model_versions(f"name = '{registered}'")
    return next((found.version for found in versions if found.tags.get("fingerprint") == fingerprint), None)


def _experiment(client: Any, settings: Settings, name: str) -> str:
    folder = _folder(settings)
    label = f"promoloop {name}" if "databricks" not in settings.paths.models else f"/Shared/promoloop/{name}"
    known = client.get_experiment_by_name(label)
    if known is not None:
        return str(known.experiment_id)
    return str(client.create_experiment(label, artifact_location=(folder / "artifacts").as_uri() if folder else None))


def _champion(settings: Settings, name: str, trained_by: str) -> Any:
    """The champion; where it learned from later days than run.as_of may know, the newest version that did not."""
    registered, day = _registered(settings, name), settings.run.as_of.isoformat()
    champion = None if _is_bare(settings) else _in_use(_client(settings), registered)
    if champion is None:
        raise UserError(f"model {name} is missing under {settings.paths.models}: run {trained_by} first")
    if _learned_before(champion) <= day:
        return champion
    trained = _client(settings).search_model_versions(f"name = '{registered}'")
    known = [version for version in trained if _learned_before(version) <= day]
    if not known:
        raise UserError(
            f"model {name} learned from days before {_learned_before(champion)}, run.as_of is {day}: run {trained_by} for {day} first"
        )
    return max(known, key=lambda version: (_learned_before(version), int(version.version)))


def _in_use(client: Any, registered: str) -> Any:
    """The version with the alias of the champion; None where there is none."""
    try:
        return client.get_model_version_by_alias(registered, CHAMPION)
    except _mlflow().exceptions.MlflowException as error:
        if error.error_code not in _ABSENT:
            raise _refused(error) from error
        return None


def _learned_before(version: Any) -> str:
    """The as_of a version was trained for; versions of before it was noted are of any day."""
    return str(version.tags.get("as_of", ""))


def _refused(error: Exception) -> UserError:
    return UserError(f"MLflow, at paths.models, says: {str(error).splitlines()[0]}")


def _downloaded(settings: Settings, version: Any, path: str, folder: str) -> str:
    return str(_client(settings).download_artifacts(version.run_id, path, folder))


def _registered(settings: Settings, name: str) -> str:
    """The name in the registry: as it is, or inside the tables' schema in Unity Catalog."""
    return f"{settings.paths.tables}.{name}" if "databricks" in settings.paths.models else name


def _folder(settings: Settings) -> Path | None:
    """The folder of the local store; None where `paths.models` names a server, which knows its own place."""
    scheme = re.match(r"([\w+-]+)(:|$)", settings.paths.models)
    kind = scheme.group(1).split("+")[0] if scheme else ""
    if kind in _SERVERS:
        return None
    if kind not in ("", "file", "sqlite") and ":" in settings.paths.models:
        raise UserError(f"paths.models {settings.paths.models!r}: give a folder, or the URI of an MLflow server or of its database")
    path = Path(re.sub(r"^(file:(//)?(?=/)|file:|sqlite:///)", "", settings.paths.models)).resolve()
    return path.parent if kind == "sqlite" else path


def _store(settings: Settings) -> Path | None:
    """The file of the local store, whether it is there yet or not; None where `paths.models` names a server."""
    folder, uri = _folder(settings), settings.paths.models
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:") else folder and folder / "mlflow.db"


def _is_bare(settings: Settings) -> bool:
    """Whether there is no store yet, so that nobody who only looks makes one: laying it out takes MLflow seconds."""
    store = _store(settings)
    return store is not None and not store.is_file()


def _shared(settings: Settings) -> str:
    """A folder that driver and executors share, for models on their way between Spark and MLflow."""
    root = settings.paths.checkpoints
    return f"{(root if ':' in root else Path(root).resolve().as_uri()).rstrip('/')}/models"


def _client(settings: Settings) -> Any:
    mlflow, folder, uri = _mlflow(), _folder(settings), settings.paths.models
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        uri = uri if uri.startswith("sqlite:") else f"sqlite:///{_store(settings)}"
    return mlflow.MlflowClient(tracking_uri=uri, registry_uri="databricks-uc" if uri == "databricks" else uri)


def _mlflow() -> Any:
    """MLflow, imported on first use (it takes seconds), without telemetry and without its chatter."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow
    import mlflow.spark

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return mlflow

"""The model that answers: found, loaded, and exchanged when another becomes champion."""

from __future__ import annotations

import asyncio
import gc
import logging
from pathlib import Path

from src.bundle import CHAMPION, Bundle
from src.service.metrics import Metrics

log = logging.getLogger("flights")


class Models:
    """The champion of a folder of models; `current` is None while there is none to be had."""

    def __init__(self, folder: Path, metrics: Metrics) -> None:
        self.folder, self.metrics = folder, metrics
        self.current: Bundle | None = None
        self._tried: str | None = ""  # another than the folder can name

    async def watch(self, every: float) -> None:
        """Look for another champion again and again, until cancelled."""
        while True:
            await asyncio.sleep(every)
            await self.look()

    async def look(self) -> None:
        """Load the champion if it isn't the one that answers; what can't be loaded is told once.

        The old model goes on answering until the new one is loaded, and when it can't be.
        """
        name = await asyncio.to_thread(self.champion)
        if name == self._tried:
            return
        self._tried = name
        if name is None:
            log.warning(
                "There is no model: %s names none. Train one first.", self.folder / CHAMPION
            )
            return
        try:
            found = await asyncio.to_thread(Bundle.load, self.folder / name)
        except Exception:
            self.metrics.model_loads.labels("failed").inc()
            log.exception("Model %s can't be loaded; %s answers.", name, self.answering())
            return
        self.metrics.model_loads.labels("loaded").inc()
        self.adopt(found)
        log.info("Model %s answers from now on.", found.version)

    def adopt(self, bundle: Bundle) -> None:
        """Let `bundle` answer."""
        self.current = bundle
        self.metrics.model_loaded.set(1)
        self.metrics.model.info(
            {"version": bundle.version, "training_date": str(bundle.training_date)}
        )
        # What is loaded by now stays. Frozen, the garbage collector never looks at it again: its
        # long looks are what makes the slowest answers slow.
        gc.collect()
        gc.freeze()

    def champion(self) -> str | None:
        """The version that the folder names; None without one."""
        try:
            return (self.folder / CHAMPION).read_text(encoding="utf-8").strip() or None
        except OSError:
            return None

    def answering(self) -> str:
        """Who answers, in words."""
        return f"model {self.current.version}" if self.current else "nobody"

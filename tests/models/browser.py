"""Pages in a real browser, without a window. Tests that need one are skipped where there is none."""

import shutil
import subprocess
import sys

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def path() -> str:
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    print(f"skipped: none of {', '.join(BROWSERS)} is installed (apt install chromium)")
    sys.exit(77)


def dom(address: str, milliseconds: int) -> str:
    """The page as it stands once its scripts have run for so long, by the page's clock; they must not fail."""
    result = subprocess.run(
        [path(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
         "--window-size=1500,950", f"--virtual-time-budget={milliseconds}", "--dump-dom", address],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in result.stderr, result.stderr
    return result.stdout

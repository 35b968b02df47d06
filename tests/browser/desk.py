"""What a person does and sees at a page, and what the browser complains of meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.browser.chromium import axe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# What Django puts around ours, and does no better on its own pages: links that only their colour tells from the words
# beside them, and lists of links too small for a thumb.
_DJANGOS = ["#header", ".breadcrumbs", "#nav-sidebar", "#toolbar", "#changelist-filter"]
_SEEN = """
([exclude, tags]) => axe.run({exclude}, {
    preload: false, resultTypes: ["violations"], runOnly: {type: "tag", values: tags},
})
"""
# Where the focus is, and whether it can be seen there: some style has to be another one than without.
_FOCUS = """
() => {
    const at = document.activeElement;
    if (!at || at === document.body) return null;
    const look = () => {
        const style = getComputedStyle(at);
        return ["outlineStyle", "outlineWidth", "outlineColor", "boxShadow", "borderColor", "backgroundColor", "color",
                "textDecorationLine"].map(name => style[name]).join("|");
    };
    const focused = look();
    at.blur();
    const blurred = look();
    at.focus();
    const inside = at.closest("#content") !== null;
    const name = at.getAttribute("href") || at.name || at.id || at.textContent.trim() || at.tagName;
    return {name, inside, shown: focused !== blurred};
}
"""
_REACHABLE = """
() => Array.from(document.querySelectorAll("#content a[href], #content button, #content input, #content select, " +
                                           "#content textarea, #content summary, #content [tabindex]"))
    .filter(each => each.tabIndex >= 0 && each.type !== "hidden" && each.checkVisibility({visibilityProperty: true}))
    .map(each => each.getAttribute("href") || each.name || each.id || each.textContent.trim() || each.tagName)
"""


@dataclass
class Desk:
    """One person at one page.

    Attributes:
        complaints: What the console told as an error or a warning, and what no script caught.
    """

    url: str
    page: Page
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Opens a page of the site."""
        response = self.page.goto(self.url + path)
        assert response is not None
        assert response.status == 200, f"{path}: {response.status}"

    def violations(self) -> list[str]:
        """What axe finds: the rule, and where."""
        # A link on its way from one colour to another would be judged half way.
        self.page.wait_for_function("() => document.getAnimations().length === 0")
        self.page.evaluate(axe())
        there = [[each] for each in _DJANGOS if self.page.query_selector(each)]
        found: dict[str, Any] = self.page.evaluate(_SEEN, [there, _TAGS])
        return [f"{each['id']}: {node['html'][:200]}" for each in found["violations"] for node in each["nodes"]]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth"))

    def tab_through(self) -> list[dict[str, Any]]:
        """Where the Tab key leads, from the top of the page to its end."""
        visited: list[dict[str, Any]] = []
        for _ in range(300):
            self.page.keyboard.press("Tab")
            if (found := self.page.evaluate(_FOCUS)) is None:
                break
            visited.append(found)
        return visited

    def reachable(self) -> list[str]:
        """What there is to be reached in the content."""
        names: list[str] = self.page.evaluate(_REACHABLE)
        return names

    def colour(self, selector: str, of: str = "color") -> str:
        """A colour as it is shown."""
        return str(self.page.eval_on_selector(selector, "(at, of) => getComputedStyle(at)[of]", of))


def sit_down(browser: Browser, url: str, cookie: str, **options: Any) -> Desk:
    """A fresh page for somebody whose cookie it is."""
    context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce"} | options)
    context.add_cookies([{"name": "sessionid", "value": cookie, "url": url}])
    desk = Desk(url, context.new_page())

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            desk.complaints.append(message.text)

    desk.page.on("console", heard)
    desk.page.on("pageerror", lambda error: desk.complaints.append(str(error)))
    return desk

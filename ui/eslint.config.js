import hooks from "eslint-plugin-react-hooks";
import { configs as typescript } from "typescript-eslint";

/** Each layer may import those below it: pages → forms → components → ui → lib. */
const LAYERS = ["pages", "forms", "components", "ui", "lib"];

const layering = LAYERS.slice(1).map((layer, index) => ({
  files: [`src/${layer}/**`],
  rules: {
    "no-restricted-imports": [
      "error",
      {
        patterns: LAYERS.slice(0, index + 1).map((above) => ({
          group: [`~/${above}/*`, `**/${above}/*`],
          message: `${layer} may not import ${above}: pages → forms → components → ui → lib`,
        })),
      },
    ],
  },
}));

export default [
  { ignores: ["node_modules/**", "src/lib/schema.d.ts"] },
  ...typescript.strict.map((config) => ({ ...config, files: ["**/*.ts", "**/*.tsx"] })),
  { files: ["src/**"], plugins: { "react-hooks": hooks }, rules: { ...hooks.configs.recommended.rules, "react-hooks/incompatible-library": "off" } },
  {
    files: ["src/**"],
    rules: {
      // What attackers name is shown as text, never as markup.
      "no-restricted-syntax": ["error", { selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']", message: "render text, not markup" }],
      "max-lines": ["error", { max: 450, skipBlankLines: true, skipComments: true }],
    },
  },
  ...layering,
];

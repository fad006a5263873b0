import KNOWN from "../../../contract/detections.json";

/** What a Defender finds by itself. */
export interface Detection {
  name: string;
  section: string;
  severity: string;
  title: string;
  techniques: readonly string[];
}

const LISTED = new Set(["deniedProcess", "processNotAllowed", "deniedName", "nameNotAllowed", "deniedAddress", "addressNotAllowed", "deniedPort", "portNotAllowed", "deniedListenPort", "listenPortNotAllowed", "deniedFile", "fileNotAllowed", "customRule", "defender", "waas"]);

/** The detections that a rule can ask for by name. */
export const DETECTIONS: readonly Detection[] = (KNOWN as Detection[]).filter((item) => !LISTED.has(item.name));
